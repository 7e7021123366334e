//! Passwords in plain text, normalized, as a type that is never logged.

use secrecy::{ExposeSecret, SecretString};
use unicode_normalization::UnicodeNormalization;

use crate::error::Error;

/// A password of any Unicode characters, normalized as the `OpaqueString` profile of RFC 8265
/// prescribes (other spaces become plain ones, then NFC), not trimmed, with its case. Unlike in
/// that profile, no character is rejected, not even a control character or one that is new in
/// Unicode.
#[derive(Clone)]
pub struct Password(SecretString);

impl Password {
    /// Maximum length in characters.
    pub const MAX_CHARS: usize = 256;

    /// Normalizes a password.
    ///
    /// # Errors
    /// [`Error::PasswordTooLong`] if it has more than 256 characters, [`Error::PasswordInvalid`] if
    /// it is empty.
    pub fn parse(text: &str) -> Result<Self, Error> {
        // The first comparison is cheap, and spares counting the characters of a very long text.
        if text.len() > Self::MAX_CHARS * 4 || text.chars().count() > Self::MAX_CHARS {
            return Err(Error::PasswordTooLong(Self::MAX_CHARS));
        }
        if text.is_empty() {
            return Err(Error::PasswordInvalid);
        }
        let normal: String = text
            .chars()
            .map(|char| if is_space(char) { ' ' } else { char })
            .nfc()
            .collect();
        Ok(Self(normal.into()))
    }

    /// Checks the minimum length.
    ///
    /// # Errors
    /// [`Error::PasswordTooShort`] if it has fewer than `min_chars` characters.
    pub fn check_length(&self, min_chars: usize) -> Result<(), Error> {
        if self.0.expose_secret().chars().count() < min_chars {
            Err(Error::PasswordTooShort(min_chars))
        } else {
            Ok(())
        }
    }

    pub(crate) fn as_str(&self) -> &str {
        self.0.expose_secret()
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.0.expose_secret().as_bytes()
    }
}

/// Returns whether the character has the general category Zs.
const fn is_space(char: char) -> bool {
    matches!(
        char,
        ' ' | '\u{a0}' | '\u{1680}' | '\u{2000}'
            ..='\u{200a}' | '\u{202f}' | '\u{205f}' | '\u{3000}'
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_normalized_and_never_trimmed() {
        assert_eq!(Password::parse(" Pa ss ").unwrap().as_bytes(), b" Pa ss ");
        assert_eq!(
            Password::parse("e\u{301}").unwrap().as_bytes(),
            "é".as_bytes()
        );
        assert_eq!(Password::parse("a\u{a0}b").unwrap().as_bytes(), b"a b");
        assert_eq!(
            Password::parse("🦀🤯\t").unwrap().as_bytes(),
            "🦀🤯\t".as_bytes()
        );
        assert!(Password::parse("").is_err());
        assert!(Password::parse(&"é".repeat(256)).is_ok());
        assert!(Password::parse(&"x".repeat(257)).is_err());
        assert!(Password::parse("1234567").unwrap().check_length(8).is_err());
    }
}
