//! Names that people read: of people, projects, keys.

use std::fmt;

use crate::Malformed;

/// Trimmed, at most 200 characters, without control characters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DisplayName(String);

impl DisplayName {
    pub const TOO_LONG: Malformed = Malformed("has more than 200 characters");

    /// # Errors
    /// When the name is empty, too long or holds control characters.
    pub fn parse(text: &str) -> Result<Self, Malformed> {
        let name = Self::parse_or_empty(text)?;
        if name.0.is_empty() {
            return Err(Malformed("is empty"));
        }
        Ok(name)
    }

    /// As [`parse`](Self::parse), but a person's own name may be empty until they set it.
    ///
    /// # Errors
    /// When the name is too long or holds control characters.
    pub fn parse_or_empty(text: &str) -> Result<Self, Malformed> {
        let text = text.trim();
        if text.chars().count() > 200 {
            return Err(Self::TOO_LONG);
        }
        if text.chars().any(char::is_control) {
            return Err(Malformed("has control characters"));
        }
        Ok(Self(text.to_owned()))
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for DisplayName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_trimmed_and_bounded() {
        assert_eq!(DisplayName::parse("  Ann  ").unwrap().as_str(), "Ann");
        assert!(DisplayName::parse(&"é".repeat(200)).is_ok());
        for bad in ["", "   ", "a\nb", "a\0b", &"x".repeat(201)] {
            assert!(DisplayName::parse(bad).is_err());
        }
        assert_eq!(DisplayName::parse_or_empty(" ").unwrap().as_str(), "");
    }
}
