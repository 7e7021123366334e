//! Global ids of users, projects and other entries. The gid of an entry never changes.

use std::{fmt, str::FromStr};

use uuid::Uuid;

use crate::malformed::Malformed;

/// A lower-case, hyphenated UUID (RFC 9562).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Gid(Uuid);

impl Gid {
    /// Gid that no entry has (RFC 9562, section 5.9). It stands for a dummy user.
    pub const NIL: Self = Self(Uuid::nil());

    #[must_use]
    pub const fn from_uuid(uuid: Uuid) -> Self {
        Self(uuid)
    }

    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 16] {
        self.0.as_bytes()
    }
}

impl FromStr for Gid {
    type Err = Malformed;

    /// Parses the form with hyphens only, in upper or lower case.
    fn from_str(text: &str) -> Result<Self, Malformed> {
        // `try_parse` also accepts other notations, which have other lengths.
        if text.len() != 36 {
            return Err(Malformed("not a UUID"));
        }
        Uuid::try_parse(text)
            .map(Self)
            .map_err(|_| Malformed("not a UUID"))
    }
}

impl fmt::Display for Gid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl fmt::Debug for Gid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The source of new gids. It is a parameter, so that tests can choose the gids.
pub trait IdGenerator: Send + Sync {
    fn new_gid(&self) -> Gid;
}

/// Generator of random gids (UUID version 4; RFC 9562, section 5.4).
#[derive(Debug, Clone, Copy, Default)]
pub struct RandomIdGenerator;

impl IdGenerator for RandomIdGenerator {
    fn new_gid(&self) -> Gid {
        #[expect(
            clippy::disallowed_methods,
            reason = "the only code that generates ids"
        )]
        Gid(Uuid::new_v4())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_hyphenated_uuids_are_gids() {
        let lower = "0f8fad5b-d9cb-469f-a165-70867728950e";
        assert_eq!(lower.parse::<Gid>().unwrap().to_string(), lower);
        assert_eq!(
            lower.to_uppercase().parse::<Gid>().unwrap().to_string(),
            lower
        );
        for invalid in [
            "",
            "x",
            "0f8fad5bd9cb469fa16570867728950e",
            "{0f8fad5b-d9cb-469f-a165-70867728950e}",
            "0f8fad5b-d9cb-469f-a165-70867728950g",
        ] {
            assert!(invalid.parse::<Gid>().is_err(), "{invalid}");
        }
    }
}
