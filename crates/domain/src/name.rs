//! Display names of users, projects, project items and API users. They are not unique, and nothing
//! is looked up by them.

use std::fmt;

use crate::malformed::Malformed;

/// A trimmed name of at most 200 characters, without control characters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DisplayName(String);

impl DisplayName {
    pub const TOO_LONG: Malformed = Malformed("has more than 200 characters");

    /// Parses a name.
    ///
    /// # Errors
    /// [`Malformed`] if the name is empty, is too long or has control characters.
    pub fn parse(text: &str) -> Result<Self, Malformed> {
        let name = Self::parse_or_empty(text)?;
        if name.0.is_empty() {
            return Err(Malformed("is empty"));
        }
        Ok(name)
    }

    /// Parses the name of a user, which can be empty until the user sets it.
    ///
    /// # Errors
    /// [`Malformed`] if the name is too long or has control characters.
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
        for invalid in ["", "   ", "a\nb", "a\0b", &"x".repeat(201)] {
            assert!(DisplayName::parse(invalid).is_err());
        }
        assert_eq!(DisplayName::parse_or_empty(" ").unwrap().as_str(), "");
    }
}
