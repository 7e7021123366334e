//! The secret of a named token: 256 random bits in Base58 with a prefix and a checksum. Only its
//! SHA-256 is stored: such a secret cannot be guessed, so it needs neither a slow hash nor a salt.

use aws_lc_rs::{constant_time::verify_slices_are_equal, digest, error::Unspecified, rand};
use secrecy::{ExposeSecret, SecretString};

/// Prefix by which scanners for leaked secrets recognize a token.
const PREFIX: &str = "dws_";
const SECRET_BYTES: usize = 32;
const HASH_BYTES: usize = 32;
/// Maximum length of a text that is decoded. Base58 takes quadratic time, and a token is shorter.
const MAX_BYTES: usize = 128;

/// The text of a token, which is shown only once, after its creation.
pub struct Secret(SecretString);

impl Secret {
    /// Generates a secret.
    ///
    /// # Errors
    /// [`Unspecified`] if the random number generator of the machine fails.
    pub fn generate() -> Result<Self, Unspecified> {
        let mut bytes = [0; SECRET_BYTES];
        rand::fill(&mut bytes)?;
        Ok(Self(
            format!("{PREFIX}{}", bs58::encode(bytes).with_check().into_string()).into(),
        ))
    }

    #[must_use]
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }

    #[must_use]
    pub fn hash(&self) -> Hash {
        Hash::digest(self.expose().as_bytes())
    }
}

/// The SHA-256 of a token.
#[derive(Debug, Clone)]
pub struct Hash([u8; HASH_BYTES]);

impl Hash {
    fn digest(text: &[u8]) -> Self {
        let mut bytes = [0; HASH_BYTES];
        let digest = digest::digest(&digest::SHA256, text);
        bytes
            .iter_mut()
            .zip(digest.as_ref())
            .for_each(|(byte, of_digest)| *byte = *of_digest);
        Self(bytes)
    }

    /// Returns the hash of a text, if it has the form of a token and its checksum is correct.
    pub(crate) fn parse(text: &[u8]) -> Option<Self> {
        let encoded = text
            .strip_prefix(PREFIX.as_bytes())
            .filter(|_| text.len() <= MAX_BYTES)?;
        let decoded = bs58::decode(encoded).with_check(None).into_vec().ok()?;
        (decoded.len() == SECRET_BYTES).then(|| Self::digest(text))
    }

    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().map(Self).ok()
    }

    pub(crate) const fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// Compares in constant time.
impl PartialEq for Hash {
    fn eq(&self, other: &Self) -> bool {
        verify_slices_are_equal(&self.0, &other.0).is_ok()
    }
}

impl Eq for Hash {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn token_format_is_recognized() {
        let secret = Secret::generate().unwrap();
        let token = secret.expose().to_owned();
        assert!(
            token.starts_with("dws_")
                && token
                    .bytes()
                    .skip(4)
                    .all(|byte| byte.is_ascii_alphanumeric()),
            "{token}"
        );
        assert_ne!(token, Secret::generate().unwrap().expose());
        assert_eq!(Hash::parse(token.as_bytes()), Some(secret.hash()));
        for position in 0..token.len() {
            let mut changed = token.clone().into_bytes();
            changed[position] = if changed[position] == b'2' {
                b'3'
            } else {
                b'2'
            };
            assert_eq!(Hash::parse(&changed), None, "{position}");
        }
        for invalid in [
            "",
            "dws_",
            "dws_0OIl",
            &token[4..],
            &format!("{token} "),
            &format!("dws_{}", "1".repeat(4000)),
        ] {
            assert_eq!(Hash::parse(invalid.as_bytes()), None, "{invalid}");
        }
    }
}
