//! The claims of a token.

use doorward_domain::Gid;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The claim `aud` of every token.
pub const AUDIENCE: &str = "doorward";

/// Claims of a token. Times are whole seconds since 1970-01-01 UTC (`NumericDate`; RFC 7519,
/// section 2).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claims {
    pub iss: String,
    pub aud: String,
    /// Gid of the user or API user.
    #[serde(serialize_with = "serialize_gid", deserialize_with = "deserialize_gid")]
    pub sub: Gid,
    pub iat: i64,
    pub exp: i64,
    /// Id of the token.
    pub jti: String,
    /// Id of the login from which the token and its renewals result.
    pub sid: String,
    /// Time of that login.
    pub auth_time: i64,
    pub kind: TokenKind,
    /// Project of an API user; `None` for other users.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        serialize_with = "serialize_optional_gid",
        deserialize_with = "deserialize_optional_gid"
    )]
    pub project: Option<Gid>,
    /// Start of the validity (RFC 7519, section 4.1.5). Doorward issues no token with `nbf`, but
    /// checks it in a token that has it.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "deserialize_present_number"
    )]
    pub nbf: Option<i64>,
}

/// Kind of the user of a token.
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

/// Deserializes a number that is present. The default for `Option` would accept null.
fn deserialize_present_number<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<i64>, D::Error> {
    i64::deserialize(deserializer).map(Some)
}

/// Deserializes a gid that is present. The default for `Option` would accept null.
fn deserialize_optional_gid<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Gid>, D::Error> {
    deserialize_gid(deserializer).map(Some)
}
