//! Making tokens.

use std::sync::Arc;

use aws_lc_rs::{
    error::KeyRejected,
    signature::{Ed25519KeyPair, KeyPair},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::json;

use crate::{Claims, PublicKey};

/// A key that signs.
#[derive(Clone)]
pub struct Signer {
    /// As it stands in each token.
    header: Arc<str>,
    /// Ready to sign: a library that reads it anew for each token takes three times as long.
    key_pair: Arc<Ed25519KeyPair>,
    public_key: PublicKey,
}

impl Signer {
    /// # Errors
    /// When `pkcs8` is no Ed25519 private key (RFC 8410, PKCS #8).
    pub fn new(kid: &str, pkcs8: &[u8]) -> Result<Self, KeyRejected> {
        let pair = Ed25519KeyPair::from_pkcs8_maybe_unchecked(pkcs8)?;
        let header = json!({"typ": "JWT", "alg": "EdDSA", "kid": kid}).to_string();
        let public = PublicKey {
            kid: kid.to_owned(),
            x: pair.public_key().as_ref().to_vec(),
        };
        Ok(Self {
            header: URL_SAFE_NO_PAD.encode(header).into(),
            key_pair: Arc::new(pair),
            public_key: public,
        })
    }

    #[must_use]
    pub fn public_key(&self) -> &PublicKey {
        &self.public_key
    }

    /// The compact serialisation of a JWS (RFC 7515, section 3.1).
    ///
    /// # Errors
    /// When the claims can't be written as JSON, which is our fault.
    pub fn sign(&self, claims: &Claims) -> Result<String, serde_json::Error> {
        let claims = URL_SAFE_NO_PAD.encode(serde_json::to_vec(claims)?);
        let signed = format!("{}.{claims}", self.header);
        let signature = URL_SAFE_NO_PAD.encode(self.key_pair.sign(signed.as_bytes()));
        Ok(format!("{signed}.{signature}"))
    }
}
