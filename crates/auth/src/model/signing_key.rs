//! A stored signing key and its states.

use std::str::FromStr;

use aws_lc_rs::{digest, rand::SystemRandom, signature::Ed25519KeyPair};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use doorward_domain::{Malformed, Timestamp};
use doorward_token::{PublicKey, Signer};

use crate::{
    error::Error,
    sealing::{Sealer, signing_key_associated_data},
};

/// State of a signing key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyState {
    /// The key is published and signs after the next rotation.
    Next,
    /// The key signs.
    Active,
    /// The key verifies the tokens that it has signed, until the last of them has expired. Its
    /// private part is deleted.
    Previous,
    /// The key verifies nothing any more. Its private part is deleted.
    Retired,
}

impl KeyState {
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Next => "next",
            Self::Active => "active",
            Self::Previous => "previous",
            Self::Retired => "retired",
        }
    }
}

impl FromStr for KeyState {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        [Self::Next, Self::Active, Self::Previous, Self::Retired]
            .into_iter()
            .find(|state| state.as_str() == text)
            .ok_or(Malformed("not a state of a signing key"))
    }
}

/// A stored signing key.
#[derive(Debug, Clone)]
pub struct SigningKey {
    /// Thumbprint of the public key (RFC 7638).
    pub kid: String,
    pub state: KeyState,
    /// Ed25519 public key: 32 bytes in base64url.
    pub public_key: String,
    pub(crate) sealed_private_key: String,
    pub created_at: Timestamp,
    /// Time at which the last token of a previous key has expired. None in the other states.
    pub verify_until: Option<Timestamp>,
}

impl SigningKey {
    /// Returns whether the key verifies tokens at `now`.
    #[must_use]
    pub fn can_verify_at(&self, now: Timestamp) -> bool {
        match self.state {
            KeyState::Next | KeyState::Active => true,
            KeyState::Previous => self.verify_until.is_some_and(|until| now < until),
            KeyState::Retired => false,
        }
    }

    /// Returns the public part. None if it is malformed.
    pub(crate) fn to_public(&self) -> Option<PublicKey> {
        Some(PublicKey {
            kid: self.kid.clone(),
            x: URL_SAFE_NO_PAD.decode(&self.public_key).ok()?,
        })
    }

    /// Unseals the private part.
    ///
    /// # Errors
    /// [`Error::Seal`] if the master key is not the one that sealed it, [`Error::Internal`] if it
    /// is malformed.
    pub(crate) fn to_signer(&self, sealer: &Sealer) -> Result<Signer, Error> {
        let pkcs8 = sealer.open(
            &signing_key_associated_data(&self.kid),
            &self.sealed_private_key,
        )?;
        Signer::new(&self.kid, &pkcs8)
            .map_err(|_| Error::Internal("a stored signing key is not an Ed25519 key"))
    }

    /// Generates a key pair.
    ///
    /// # Errors
    /// [`Error::Internal`] if the system generates none, and [`Error::Seal`] if sealing fails.
    pub(crate) fn generate(
        sealer: &Sealer,
        state: KeyState,
        now: Timestamp,
    ) -> Result<Self, Error> {
        let failed = |_| Error::Internal("failed to generate a signing key");
        let pkcs8 = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).map_err(failed)?;
        let signer = Signer::new("", pkcs8.as_ref())
            .map_err(|_| Error::Internal("failed to generate a signing key"))?;
        let public_key = URL_SAFE_NO_PAD.encode(&signer.public_key().x);
        // The thumbprint is the hash of exactly these members, in this order, without spaces.
        let jwk = format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{public_key}"}}"#);
        let kid = URL_SAFE_NO_PAD.encode(digest::digest(&digest::SHA256, jwk.as_bytes()));
        let sealed_private_key = sealer.seal(&signing_key_associated_data(&kid), pkcs8.as_ref())?;
        Ok(Self {
            kid,
            state,
            public_key,
            sealed_private_key,
            created_at: now,
            verify_until: None,
        })
    }
}
