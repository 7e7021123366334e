//! A password as typed.

use precis_profiles::{OpaqueString, precis_core::profile::PrecisFastInvocation};
use secrecy::{ExposeSecret, SecretString};

use crate::Error;

/// In the form of RFC 8265, OpaqueString: NFC, other spaces as plain ones, nothing trimmed, case kept.
#[derive(Clone)]
pub struct Password(SecretString);

impl Password {
    pub const MAX_CHARS: usize = 256;

    /// # Errors
    /// When it is longer than 256 characters, is empty, or has control characters.
    pub fn parse(text: &str) -> Result<Self, Error> {
        if text.len() > Self::MAX_CHARS * 4 || text.chars().count() > Self::MAX_CHARS {
            return Err(Error::PasswordTooLong(Self::MAX_CHARS));
        }
        let normal = OpaqueString::enforce(text).map_err(|_| Error::PasswordInvalid)?;
        Ok(Self(normal.into_owned().into()))
    }

    /// # Errors
    /// When it has fewer than `min_chars` characters.
    pub fn check_length(&self, min_chars: usize) -> Result<(), Error> {
        if self.0.expose_secret().chars().count() < min_chars {
            Err(Error::PasswordTooShort(min_chars))
        } else {
            Ok(())
        }
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.0.expose_secret().as_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_normalised_and_never_trimmed() {
        assert_eq!(Password::parse(" Pa ss ").unwrap().as_bytes(), b" Pa ss ");
        assert_eq!(Password::parse("e\u{301}").unwrap().as_bytes(), "é".as_bytes());
        assert_eq!(Password::parse("a\u{a0}b").unwrap().as_bytes(), b"a b");
        assert!(Password::parse("").is_err() && Password::parse("a\0b").is_err());
        assert!(Password::parse(&"é".repeat(256)).is_ok());
        assert!(Password::parse(&"x".repeat(257)).is_err());
        assert!(Password::parse("1234567").unwrap().check_length(8).is_err());
    }
}
