//! Public keys, by their id.

use std::collections::HashMap;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::DecodingKey;

/// An Ed25519 public key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicKey {
    pub kid: String,
    /// The key itself, 32 bytes.
    pub x: Vec<u8>,
}

impl PublicKey {
    /// As a JWK (RFC 7517, RFC 8037).
    #[must_use]
    pub fn to_jwk(&self) -> serde_json::Value {
        serde_json::json!({
            "kty": "OKP", "crv": "Ed25519", "kid": self.kid, "use": "sig", "alg": "EdDSA",
            "x": URL_SAFE_NO_PAD.encode(&self.x),
        })
    }
}

/// The keys that may verify a token now. A `kid` is looked up here and nowhere else.
#[derive(Clone, Default)]
pub struct KeySet {
    public_keys: Vec<PublicKey>,
    by_kid: HashMap<String, DecodingKey>,
}

impl KeySet {
    /// Keys of another form than Ed25519's are left out.
    #[must_use]
    pub fn new(public: Vec<PublicKey>) -> Self {
        let public: Vec<PublicKey> = public.into_iter().filter(|key| key.x.len() == 32).collect();
        let by_kid = public
            .iter()
            .filter_map(|key| {
                let decoding =
                    DecodingKey::from_ed_components(&URL_SAFE_NO_PAD.encode(&key.x)).ok()?;
                Some((key.kid.clone(), decoding))
            })
            .collect();
        Self {
            public_keys: public,
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
