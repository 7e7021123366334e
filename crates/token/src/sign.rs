//! Making tokens.

use aws_lc_rs::{
    error::KeyRejected,
    signature::{Ed25519KeyPair, KeyPair},
};
use jsonwebtoken::{Algorithm, EncodingKey, Header};

use crate::{Claims, PublicKey};

/// A key that signs.
#[derive(Clone)]
pub struct Signer {
    header: Header,
    key: EncodingKey,
    public: PublicKey,
}

impl Signer {
    /// # Errors
    /// When `pkcs8` is no Ed25519 private key (RFC 8410, PKCS #8).
    pub fn new(kid: &str, pkcs8: &[u8]) -> Result<Self, KeyRejected> {
        let pair = Ed25519KeyPair::from_pkcs8_maybe_unchecked(pkcs8)?;
        let mut header = Header::new(Algorithm::EdDSA);
        header.kid = Some(kid.to_owned());
        let public = PublicKey { kid: kid.to_owned(), x: pair.public_key().as_ref().to_vec() };
        Ok(Self { header, key: EncodingKey::from_ed_der(pkcs8), public })
    }

    #[must_use]
    pub fn public(&self) -> &PublicKey {
        &self.public
    }

    /// # Errors
    /// When the crypto library fails, which is our fault.
    pub fn sign(&self, claims: &Claims) -> Result<String, jsonwebtoken::errors::Error> {
        jsonwebtoken::encode(&self.header, claims, &self.key)
    }
}
