//! Signing of tokens. The caller decides on the claims.

use std::sync::Arc;

use aws_lc_rs::{
    error::KeyRejected,
    signature::{Ed25519KeyPair, KeyPair},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::json;

use crate::{claims::Claims, keys::PublicKey};

/// A private key with its id.
#[derive(Clone)]
pub struct Signer {
    /// The header of each token, in base64url.
    header: Arc<str>,
    /// The parsed key. To parse it for each token would take three times as long.
    key_pair: Arc<Ed25519KeyPair>,
    public_key: PublicKey,
}

impl Signer {
    /// Creates a signer from a private key.
    ///
    /// # Errors
    /// [`KeyRejected`] if `pkcs8` is not an Ed25519 private key (RFC 8410, PKCS #8).
    pub fn new(kid: &str, pkcs8: &[u8]) -> Result<Self, KeyRejected> {
        let key_pair = Ed25519KeyPair::from_pkcs8_maybe_unchecked(pkcs8)?;
        let header = json!({"typ": "JWT", "alg": "EdDSA", "kid": kid}).to_string();
        let public_key = PublicKey {
            kid: kid.to_owned(),
            x: key_pair.public_key().as_ref().to_vec(),
        };
        Ok(Self {
            header: URL_SAFE_NO_PAD.encode(header).into(),
            key_pair: Arc::new(key_pair),
            public_key,
        })
    }

    #[must_use]
    pub fn public_key(&self) -> &PublicKey {
        &self.public_key
    }

    /// Returns a token with these claims, as the compact serialization of a JWS (RFC 7515, section
    /// 3.1).
    ///
    /// # Errors
    /// [`serde_json::Error`] if the claims cannot be serialized, which would be a bug.
    pub fn sign(&self, claims: &Claims) -> Result<String, serde_json::Error> {
        let claims = URL_SAFE_NO_PAD.encode(serde_json::to_vec(claims)?);
        let signing_input = format!("{}.{claims}", self.header);
        let signature = URL_SAFE_NO_PAD.encode(self.key_pair.sign(signing_input.as_bytes()));
        Ok(format!("{signing_input}.{signature}"))
    }
}
