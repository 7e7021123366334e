//! The claims of a token.

use doorward_domain::Gid;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Times are seconds since 1970 (NumericDate, whole).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claims {
    pub iss: String,
    pub aud: String,
    /// Whose token it is: a user or an API user.
    #[serde(serialize_with = "serialize_gid", deserialize_with = "deserialize_gid")]
    pub sub: Gid,
    pub iat: i64,
    pub exp: i64,
    /// This token.
    pub jti: String,
    /// The login that it and its renewals come from.
    pub sid: String,
    /// When that login was.
    pub auth_time: i64,
    pub kind: TokenKind,
    /// The project of an API user's key.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        serialize_with = "serialize_optional_gid",
        deserialize_with = "deserialize_optional_gid"
    )]
    pub project: Option<Gid>,
    /// This server issues no token with `nbf`. One that has it is valid from then on (RFC 7519, section 4.1.5).
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "deserialize_present_number"
    )]
    pub nbf: Option<i64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TokenKind {
    User,
    Api,
}

fn serialize_gid<S: Serializer>(gid: &Gid, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(gid)
}

fn deserialize_gid<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Gid, D::Error> {
    String::deserialize(deserializer)?
        .parse()
        .map_err(serde::de::Error::custom)
}

fn serialize_optional_gid<S: Serializer>(
    gid: &Option<Gid>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&gid.map(|gid| gid.to_string()).unwrap_or_default())
}

/// Reads a number that is present: null is not one.
fn deserialize_present_number<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<i64>, D::Error> {
    i64::deserialize(deserializer).map(Some)
}

fn deserialize_optional_gid<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Gid>, D::Error> {
    deserialize_gid(deserializer).map(Some)
}
