//! Secrets at rest: AES-256-GCM (NIST SP 800-38D) under the master key, bound to the place they belong to.

use aws_lc_rs::aead::{AES_256_GCM, Aad, Nonce, RandomizedNonceKey};
use base64::{Engine, engine::general_purpose::STANDARD};
use doorward_mail::ContentSealer;
use secrecy::{ExposeSecret, SecretSlice};

/// Seals and opens secrets with the master key.
pub struct Sealer {
    key: RandomizedNonceKey,
}

const NONCE_BYTES: usize = 12;

#[derive(Debug, Clone, Copy, thiserror::Error)]
pub enum SealError {
    #[error("the master key has not 32 bytes")]
    InvalidKeyLength,
    #[error("the master key doesn't open what is stored: it is not the one that sealed it")]
    WrongKey,
    #[error("sealing failed")]
    CryptoFailed,
}

impl Sealer {
    /// # Errors
    /// When the key hasn't 32 bytes.
    pub fn new(master_key: &SecretSlice<u8>) -> Result<Self, SealError> {
        let key = RandomizedNonceKey::new(&AES_256_GCM, master_key.expose_secret())
            .map_err(|_| SealError::InvalidKeyLength)?;
        Ok(Self { key })
    }

    /// `place` names what is sealed, such as `signing_key/<kid>`: it opens only there.
    pub(crate) fn seal(&self, place: &str, secret: &[u8]) -> Result<String, SealError> {
        let mut sealed = secret.to_vec();
        let nonce = self
            .key
            .seal_in_place_append_tag(Aad::from(place), &mut sealed)
            .map_err(|_| SealError::CryptoFailed)?;
        let mut whole = nonce.as_ref().to_vec();
        whole.append(&mut sealed);
        Ok(STANDARD.encode(whole))
    }

    pub(crate) fn open(&self, place: &str, sealed: &str) -> Result<Vec<u8>, SealError> {
        let whole = STANDARD.decode(sealed).map_err(|_| SealError::WrongKey)?;
        let (nonce, sealed) = whole
            .split_at_checked(NONCE_BYTES)
            .ok_or(SealError::WrongKey)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| SealError::WrongKey)?;
        let mut sealed = sealed.to_vec();
        let secret = self
            .key
            .open_in_place(nonce, Aad::from(place), &mut sealed)
            .map_err(|_| SealError::WrongKey)?;
        Ok(secret.to_vec())
    }
}

impl ContentSealer for Sealer {
    fn seal(&self, place: &str, text: &str) -> Result<String, doorward_mail::SealError> {
        Self::seal(self, place, text.as_bytes()).map_err(|_| doorward_mail::SealError)
    }

    fn open(&self, place: &str, sealed: &str) -> Result<String, doorward_mail::SealError> {
        let text = Self::open(self, place, sealed).map_err(|_| doorward_mail::SealError)?;
        String::from_utf8(text).map_err(|_| doorward_mail::SealError)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sealer(byte: u8) -> Sealer {
        Sealer::new(&vec![byte; 32].into()).unwrap()
    }

    #[test]
    fn sealed_secret_opens_only_with_its_key_and_associated_data() {
        let sealed = sealer(1).seal("signing_key/a", b"secret").unwrap();
        assert_eq!(sealer(1).open("signing_key/a", &sealed).unwrap(), b"secret");
        assert!(sealer(2).open("signing_key/a", &sealed).is_err());
        assert!(sealer(1).open("signing_key/b", &sealed).is_err());
        assert!(sealer(1).open("signing_key/a", &sealed[4..]).is_err());
        assert_ne!(sealed, sealer(1).seal("signing_key/a", b"secret").unwrap());
        assert!(Sealer::new(&vec![1; 31].into()).is_err());
    }
}
