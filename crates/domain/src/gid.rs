//! Global ids: what users, projects and keys are called for ever.

use std::{fmt, str::FromStr};

use uuid::Uuid;

use crate::Malformed;

/// A lower-case, hyphenated UUID (RFC 9562).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Gid(Uuid);

impl Gid {
    /// Nobody's.
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

    /// Takes the hyphenated form alone, in either case.
    fn from_str(text: &str) -> Result<Self, Malformed> {
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

/// The source of new ids, a parameter so that tests can name what is made.
pub trait IdGenerator: Send + Sync {
    fn new_gid(&self) -> Gid;
}

/// Random ids (version 4).
#[derive(Debug, Clone, Copy, Default)]
pub struct RandomIdGenerator;

impl IdGenerator for RandomIdGenerator {
    fn new_gid(&self) -> Gid {
        #[expect(clippy::disallowed_methods, reason = "the one place that makes ids")]
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
        for bad in [
            "",
            "x",
            "0f8fad5bd9cb469fa16570867728950e",
            "{0f8fad5b-d9cb-469f-a165-70867728950e}",
            "0f8fad5b-d9cb-469f-a165-70867728950g",
        ] {
            assert!(bad.parse::<Gid>().is_err(), "{bad}");
        }
    }
}
