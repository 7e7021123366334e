//! The token that a client of the gRPC services shows: the one that the three services share, or one of a client's own.

use std::sync::Arc;

use secrecy::{ExposeSecret, SecretString};
use tonic::metadata::{Ascii, MetadataValue};

/// The metadata key of the token.
pub const HEADER: &str = "x-service-token";

/// A token that is sent with every call, or none. Prints nothing of it.
#[derive(Clone)]
pub struct ServiceToken(Option<Arc<SecretString>>);

impl ServiceToken {
    #[must_use]
    pub fn new(token: Option<SecretString>) -> Self {
        Self(token.map(Arc::new))
    }

    /// Returns the token as metadata for outgoing calls.
    pub(crate) fn metadata(&self) -> Option<MetadataValue<Ascii>> {
        let mut value: MetadataValue<Ascii> = self.0.as_ref()?.expose_secret().parse().ok()?;
        value.set_sensitive(true);
        Some(value)
    }

    /// Returns whether there is a token.
    #[must_use]
    pub const fn is_set(&self) -> bool {
        self.0.is_some()
    }

    /// Compares in constant time; false without a token.
    #[must_use]
    pub fn matches(&self, sent: &[u8]) -> bool {
        self.0.as_ref().is_some_and(|token| {
            aws_lc_rs::constant_time::verify_slices_are_equal(
                token.expose_secret().as_bytes(),
                sent,
            )
            .is_ok()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_same_token_matches() {
        let token = ServiceToken::new(Some("secret".to_owned().into()));
        assert!(token.matches(b"secret") && token.is_set());
        for other in [&b"secreT"[..], b"secre", b"secrets", b""] {
            assert!(!token.matches(other));
        }
        let none = ServiceToken::new(None);
        assert!(!none.matches(b"") && !none.is_set());
    }
}
