//! The service token that a client sends to the gRPC services: the one that the three services
//! share, or a named one. It does not decide what a token allows; `access` does.

use std::sync::Arc;

use secrecy::{ExposeSecret, SecretString};
use tonic::metadata::{Ascii, MetadataValue};

/// Metadata key of the token.
pub const HEADER: &str = "x-service-token";

/// Token that is sent with every call, if there is one. It is never printed.
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

    /// Returns whether a sent token is equal, in constant time for its content. Without a token it
    /// is always false.
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
