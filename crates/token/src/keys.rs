//! Public keys that verify tokens. How keys are rotated is up to auth.

use std::collections::HashMap;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::DecodingKey;

/// An Ed25519 public key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicKey {
    pub kid: String,
    /// The public key as 32 bytes (RFC 8032, section 5.1.5).
    pub x: Vec<u8>,
}

impl PublicKey {
    /// Returns the key as a JWK (RFC 7517; RFC 8037, section 2).
    #[must_use]
    pub fn to_jwk(&self) -> serde_json::Value {
        serde_json::json!({
            "kty": "OKP", "crv": "Ed25519", "kid": self.kid, "use": "sig", "alg": "EdDSA",
            "x": URL_SAFE_NO_PAD.encode(&self.x),
        })
    }
}

/// The keys that can verify a token now. A `kid` is looked up only in this set and never used as a
/// path or URL (RFC 8725, section 3.10).
#[derive(Clone, Default)]
pub struct KeySet {
    public_keys: Vec<PublicKey>,
    by_kid: HashMap<String, DecodingKey>,
}

impl KeySet {
    /// Creates a key set, without the keys that do not have the length of an Ed25519 key.
    #[must_use]
    pub fn new(public_keys: Vec<PublicKey>) -> Self {
        let public_keys: Vec<PublicKey> = public_keys
            .into_iter()
            .filter(|key| key.x.len() == 32)
            .collect();
        let by_kid = public_keys
            .iter()
            .filter_map(|key| {
                let decoding =
                    DecodingKey::from_ed_components(&URL_SAFE_NO_PAD.encode(&key.x)).ok()?;
                Some((key.kid.clone(), decoding))
            })
            .collect();
        Self {
            public_keys,
            by_kid,
        }
    }

    #[must_use]
    pub fn public_keys(&self) -> &[PublicKey] {
        &self.public_keys
    }

    pub(crate) fn find(&self, kid: &str) -> Option<&DecodingKey> {
        self.by_kid.get(kid)
    }
}
