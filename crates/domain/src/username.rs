//! Usernames: the profile `UsernameCasePreserved` of RFC 8265. Whether a username is free is up to
//! the directory.

use std::{fmt, str::FromStr};

use precis_profiles::{UsernameCasePreserved, precis_core::profile::PrecisFastInvocation};

use crate::{email::Email, malformed::Malformed};

/// A normalized username of 1 to 64 characters; case-sensitive.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Username(String);

impl Username {
    pub const MAX_CHARS: usize = 64;
    pub const TOO_LONG: Malformed = Malformed("has more than 64 characters");

    /// Parses the username of a new account or a changed username. White space (Unicode
    /// `White_Space`) around it is ignored.
    ///
    /// # Errors
    /// [`Malformed`] if the text is not a username by RFC 8265, is too long, or is a UUID in any
    /// notation, which could be the gid of another user.
    pub fn parse(text: &str) -> Result<Self, Malformed> {
        let username = Self::parse_existing(text)?;
        if is_uuid(&username.0) {
            Err(Malformed("is a UUID"))
        } else {
            Ok(username)
        }
    }

    /// Parses the username by which an account is looked up. It can be a UUID, because earlier
    /// releases accepted such usernames.
    ///
    /// # Errors
    /// [`Malformed`] if the text is not a username by RFC 8265 or is too long.
    pub fn parse_existing(text: &str) -> Result<Self, Malformed> {
        let text = text.trim();
        // This bounds the work of the normalization. No username is longer: a character of the
        // normalized text is composed of at most 12 bytes.
        if text.len() > Self::MAX_CHARS * 12 {
            return Err(Self::TOO_LONG);
        }
        let normal = UsernameCasePreserved::enforce(text)
            .map_err(|_| Malformed("has characters that no username may have"))?;
        match normal.chars().count() {
            0 => Err(Malformed("is empty")),
            1..=Self::MAX_CHARS => Ok(Self(normal.into_owned())),
            _ => Err(Self::TOO_LONG),
        }
    }

    /// Returns the form in which a text that a user entered is compared and counted: the normalized
    /// username, or the trimmed text if it is not a username.
    #[must_use]
    pub fn normalize_for_lookup(text: &str) -> String {
        Self::parse_existing(text).map_or_else(|_| text.trim().to_owned(), |name| name.0)
    }

    /// Returns whether an account with this verified address can have this username. A username
    /// with `@` must be that address, in any spelling: otherwise a user could take the address of
    /// another user as a username.
    #[must_use]
    pub fn is_allowed_for_email(&self, email: Option<&Email>) -> bool {
        !self.0.contains('@')
            || email.is_some_and(|email| Email::parse(&self.0).is_ok_and(|own| own == *email))
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Returns whether the text is a UUID: with hyphens, as plain hexadecimal digits, in braces, or as
/// a URN (RFC 9562, section 4).
fn is_uuid(text: &str) -> bool {
    uuid::Uuid::try_parse(&text.to_lowercase()).is_ok()
}

impl fmt::Display for Username {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Username {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        Self::parse(text)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// All characters with the Unicode property `White_Space`.
    const WHITE_SPACE: &str = "\t\n\u{b}\u{c}\r \u{85}\u{a0}\u{1680}\u{2000}\u{2001}\u{2002}\
        \u{2003}\u{2004}\u{2005}\u{2006}\u{2007}\u{2008}\u{2009}\u{200a}\u{2028}\u{2029}\u{202f}\u{205f}\u{3000}";

    #[test]
    fn equivalent_usernames_normalize_to_the_same() {
        assert_eq!(
            Username::parse("ann").unwrap(),
            Username::parse("ａｎｎ").unwrap()
        );
        assert_eq!(
            Username::parse("Zo\u{eb}").unwrap(),
            Username::parse("Zoe\u{308}").unwrap()
        );
        assert_ne!(
            Username::parse("ann").unwrap(),
            Username::parse("Ann").unwrap()
        );
    }

    #[test]
    fn usernames_forbidden_by_rfc_8265_are_rejected() {
        for invalid in [
            "",
            "a b",
            "a\0",
            "a\nb",
            "\u{200b}",
            "\u{202e}nna",
            "ann\u{1f600}",
            &"x".repeat(65),
            &"x".repeat(4000),
        ] {
            assert!(Username::parse(invalid).is_err(), "{invalid:?}");
        }
        assert!(Username::parse(&"é".repeat(64)).is_ok());
    }

    #[test]
    fn uuids_in_any_notation_are_rejected_as_new_usernames() {
        let plain = "0f8fad5bd9cb469fa16570867728950e";
        let hyphenated = "0f8fad5b-d9cb-469f-a165-70867728950e";
        let full_width: String = hyphenated
            .chars()
            .map(|c| {
                if c == '-' {
                    c
                } else {
                    char::from_u32(u32::from(c) + 0xfee0).unwrap()
                }
            })
            .collect();
        for uuid in [
            plain.to_owned(),
            plain.to_uppercase(),
            hyphenated.to_owned(),
            hyphenated.to_uppercase(),
            full_width,
            format!("{{{hyphenated}}}"),
            format!("urn:uuid:{hyphenated}"),
            format!("URN:UUID:{}", hyphenated.to_uppercase()),
            uuid::Uuid::nil().to_string(),
        ] {
            assert!(Username::parse(&uuid).is_err(), "{uuid}");
            assert!(Username::parse_existing(&uuid).is_ok(), "{uuid}");
        }
        for name in [
            &plain[1..],
            "0f8fad5b",
            "g0f8fad5bd9cb469fa16570867728950",
            "0f8fad5b-d9cb-469f-a165-70867728950e1",
        ] {
            assert!(Username::parse(name).is_ok(), "{name}");
        }
    }

    #[test]
    fn username_with_at_sign_must_be_the_own_address() {
        let email = Email::parse("Ann@example.org").unwrap();
        assert!(
            Username::parse("ann@Example.org")
                .unwrap()
                .is_allowed_for_email(Some(&email))
        );
        assert!(
            !Username::parse("ben@example.org")
                .unwrap()
                .is_allowed_for_email(Some(&email))
        );
        assert!(
            !Username::parse("ann@example.org")
                .unwrap()
                .is_allowed_for_email(None)
        );
        assert!(Username::parse("ann").unwrap().is_allowed_for_email(None));
        let email = Email::parse("Ann@b\u{fc}cher.example").unwrap();
        assert!(
            Username::parse("ann@xn--bcher-kva.example")
                .unwrap()
                .is_allowed_for_email(Some(&email))
        );
        assert!(
            !Username::parse("ann@bucher.example")
                .unwrap()
                .is_allowed_for_email(Some(&email))
        );
        assert!(
            !Username::parse("x@ann@b\u{fc}cher.example")
                .unwrap()
                .is_allowed_for_email(Some(&email))
        );
    }

    #[test]
    fn white_space_around_a_name_is_ignored() {
        let around = WHITE_SPACE;
        let name = Username::parse("ann").unwrap();
        assert_eq!(Username::parse(&format!("{around}ann")).unwrap(), name);
        assert_eq!(Username::parse(&format!("ann{around}")).unwrap(), name);
        assert_eq!(
            Username::parse(&format!("{}ann", " ".repeat(100_000))).unwrap(),
            name
        );
        for invalid in [
            around.to_owned(),
            format!("a{around}nn"),
            "\u{200b}ann".to_owned(),
            "\u{feff}ann".to_owned(),
        ] {
            assert!(Username::parse(&invalid).is_err(), "{invalid:?}");
        }
        for (entered, normalized) in [(" \u{ff41}nn\n", "ann"), ("\ta b ", "a b"), (" ", "")] {
            assert_eq!(Username::normalize_for_lookup(entered), normalized);
        }
    }

    proptest! {
        #[test]
        fn parsing_never_panics_and_is_stable(text in "\\PC{0,80}") {
            if let Ok(name) = Username::parse_existing(&text) {
                prop_assert_eq!(Username::parse_existing(name.as_str()).unwrap(), name);
            }
        }
    }
}
