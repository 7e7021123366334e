//! Encryption of stored secrets: AES-256-GCM (NIST SP 800-38D) with the master key. Associated data
//! binds each value to its row, so a value that is copied to another row does not open. The texts
//! of the associated data must not change, or stored values would not open any more.

use aws_lc_rs::aead::{AES_256_GCM, Aad, Nonce, RandomizedNonceKey};
use base64::{Engine, engine::general_purpose::STANDARD};
use doorward_mail::ContentSealer;
use secrecy::{ExposeSecret, SecretSlice};

/// Seals and opens secrets with the master key.
pub struct Sealer {
    key: RandomizedNonceKey,
}

/// Length of the nonce in front of each sealed value.
const NONCE_BYTES: usize = 12;

/// An error of sealing or unsealing.
#[derive(Debug, Clone, Copy, thiserror::Error)]
pub enum SealError {
    #[error("the master key does not have 32 bytes")]
    InvalidKeyLength,
    #[error("the master key can't unseal the stored secrets; use the one that sealed them")]
    WrongKey,
    #[error("sealing failed")]
    CryptoFailed,
}

impl Sealer {
    /// Creates a sealer with a master key.
    ///
    /// # Errors
    /// [`SealError::InvalidKeyLength`] if the key does not have 32 bytes.
    pub fn new(master_key: &SecretSlice<u8>) -> Result<Self, SealError> {
        let key = RandomizedNonceKey::new(&AES_256_GCM, master_key.expose_secret())
            .map_err(|_| SealError::InvalidKeyLength)?;
        Ok(Self { key })
    }

    /// Seals a secret and returns it in base64. `associated_data` names the row of the value, such
    /// as `signing_key/<kid>`; the value opens only with the same associated data.
    ///
    /// # Errors
    /// [`SealError::CryptoFailed`] if encryption fails.
    pub(crate) fn seal(&self, associated_data: &str, secret: &[u8]) -> Result<String, SealError> {
        let mut sealed = secret.to_vec();
        let nonce = self
            .key
            .seal_in_place_append_tag(Aad::from(associated_data), &mut sealed)
            .map_err(|_| SealError::CryptoFailed)?;
        let mut whole = nonce.as_ref().to_vec();
        whole.append(&mut sealed);
        Ok(STANDARD.encode(whole))
    }

    /// Opens a sealed secret.
    ///
    /// # Errors
    /// [`SealError::WrongKey`] if the master key or the associated data is another, or the value
    /// was changed.
    pub(crate) fn open(&self, associated_data: &str, sealed: &str) -> Result<Vec<u8>, SealError> {
        let whole = STANDARD.decode(sealed).map_err(|_| SealError::WrongKey)?;
        let (nonce, sealed) = whole
            .split_at_checked(NONCE_BYTES)
            .ok_or(SealError::WrongKey)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| SealError::WrongKey)?;
        let mut sealed = sealed.to_vec();
        let secret = self
            .key
            .open_in_place(nonce, Aad::from(associated_data), &mut sealed)
            .map_err(|_| SealError::WrongKey)?;
        Ok(secret.to_vec())
    }
}

impl ContentSealer for Sealer {
    fn seal(&self, associated_data: &str, text: &str) -> Result<String, doorward_mail::SealError> {
        Self::seal(self, associated_data, text.as_bytes()).map_err(|_| doorward_mail::SealError)
    }

    fn unseal(
        &self,
        associated_data: &str,
        sealed: &str,
    ) -> Result<String, doorward_mail::SealError> {
        let text =
            Self::open(self, associated_data, sealed).map_err(|_| doorward_mail::SealError)?;
        String::from_utf8(text).map_err(|_| doorward_mail::SealError)
    }
}

/// Returns the associated data of a sealed private key.
pub(crate) fn signing_key_associated_data(kid: &str) -> String {
    format!("signing_key/{kid}")
}

/// Returns the associated data of a sealed secret.
pub(crate) fn secret_associated_data(name: &str) -> String {
    format!("secret/{name}")
}

/// Returns the associated data of a sealed API key.
pub(crate) fn api_key_associated_data(user: &str) -> String {
    format!("api_key/{user}")
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
