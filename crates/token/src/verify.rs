//! Verification of tokens: header, key, signature, claims and times, in this order. The header must
//! be exactly that of a token of Doorward, so the token cannot choose its algorithm or its key
//! (RFC 8725, sections 3.1 and 3.10).

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use doorward_domain::Timestamp;
use jsonwebtoken::{Algorithm, Validation};
use serde::Deserialize;

use crate::{
    claims::{AUDIENCE, Claims},
    keys::KeySet,
};

/// Maximum length of a token. The tokens of Doorward have about 600 bytes.
pub const MAX_TOKEN_BYTES: usize = 4096;
/// How far `iat` and `nbf` can be in the future, because the clocks of two machines differ.
const CLOCK_LEEWAY_SECONDS: i64 = 5;

/// The reason why a token is rejected. It is only for the log and must not be sent to the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum VerifyError {
    #[error("the token is too long")]
    TooLong,
    #[error("the header is not that of a token of Doorward")]
    InvalidHeader,
    #[error("the token is signed with an unknown key")]
    UnknownKey,
    #[error("the signature or a claim is invalid")]
    InvalidToken,
    #[error("the token has expired")]
    Expired,
    #[error("the token is not valid yet")]
    NotYetValid,
}

/// The header of a token of Doorward. A header with another parameter (`jku`, `jwk`, `x5u`, `crit`
/// ...) is rejected.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ExpectedHeader {
    typ: String,
    alg: String,
    kid: String,
}

/// Verifies tokens of one issuer.
pub struct Verifier {
    validation: Validation,
}

impl Verifier {
    #[must_use]
    pub fn new(issuer: &str) -> Self {
        let mut validation = Validation::new(Algorithm::EdDSA);
        validation.set_issuer(&[issuer]);
        validation.set_audience(&[AUDIENCE]);
        validation.set_required_spec_claims(&["iss", "aud", "sub", "exp"]);
        // The library reads the clock of the machine; `verify_times` checks the times instead.
        validation.validate_exp = false;
        Self { validation }
    }

    /// Verifies a token and returns its claims. It does not check revocations.
    ///
    /// # Errors
    /// The first [`VerifyError`] reason that applies.
    pub fn verify(
        &self,
        token: &str,
        keys: &KeySet,
        now: Timestamp,
    ) -> Result<Claims, VerifyError> {
        self.verify_with_kid(token, keys, now)
            .map(|(_, claims)| claims)
    }

    /// Verifies a token and returns the id of its key with its claims.
    pub(crate) fn verify_with_kid(
        &self,
        token: &str,
        keys: &KeySet,
        now: Timestamp,
    ) -> Result<(String, Claims), VerifyError> {
        // The length comes first, so that a long text costs no decoding.
        if token.len() > MAX_TOKEN_BYTES {
            return Err(VerifyError::TooLong);
        }
        let kid = parse_kid(token)?;
        let key = keys.find(&kid).ok_or(VerifyError::UnknownKey)?;
        let claims = jsonwebtoken::decode::<Claims>(token, key, &self.validation)
            .map_err(|_| VerifyError::InvalidToken)?
            .claims;
        claims.verify_times(now)?;
        Ok((kid, claims))
    }
}

impl Claims {
    /// Checks the times of verified claims.
    ///
    /// # Errors
    /// [`VerifyError::Expired`], [`VerifyError::NotYetValid`].
    pub(crate) fn verify_times(&self, now: Timestamp) -> Result<(), VerifyError> {
        // There is no leeway for `exp`: a token must never be valid for longer than its issuer
        // says.
        if self.exp <= now.as_seconds() {
            return Err(VerifyError::Expired);
        }
        let latest = now.as_seconds().saturating_add(CLOCK_LEEWAY_SECONDS);
        if self.iat > latest || self.nbf.is_some_and(|nbf| nbf > latest) {
            return Err(VerifyError::NotYetValid);
        }
        Ok(())
    }
}

/// Returns the key id of a token whose header is acceptable. The signature is not verified yet, so
/// the id must be used only to look up the key.
fn parse_kid(token: &str) -> Result<String, VerifyError> {
    let (header, _) = token.split_once('.').ok_or(VerifyError::InvalidHeader)?;
    let header = URL_SAFE_NO_PAD
        .decode(header)
        .map_err(|_| VerifyError::InvalidHeader)?;
    let header: ExpectedHeader =
        serde_json::from_slice(&header).map_err(|_| VerifyError::InvalidHeader)?;
    if header.typ != "JWT" || header.alg != "EdDSA" {
        return Err(VerifyError::InvalidHeader);
    }
    Ok(header.kid)
}

#[cfg(test)]
#[path = "verify_tests.rs"]
mod tests;
