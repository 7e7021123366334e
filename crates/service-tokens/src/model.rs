//! Named tokens without their secret: the client, its scopes and its projects.

use std::{fmt, str::FromStr};

use doorward_domain::{Gid, Malformed, Timestamp};
use doorward_rpc::Scope;

use crate::secret::{Hash, Secret};

/// Maximum number of projects of one token.
pub const MAX_PROJECTS: usize = 1000;

/// The name of a client: 1 to 64 characters `a-z`, `0-9`, `-`, `_` and `.`, of which the first and
/// the last are letters or digits. It is valid as the common name of a certificate, and as a DNS
/// name.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ClientName(String);

impl ClientName {
    const MAX_BYTES: usize = 64;

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ClientName {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        // Upper case is not allowed: DNS names are compared without case, but certificates and the
        // table compare bytes.
        let is_alphanumeric = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
        let bytes = text.as_bytes();
        if bytes.is_empty() || bytes.len() > Self::MAX_BYTES {
            return Err(Malformed("must have 1 to 64 characters"));
        }
        if !bytes
            .iter()
            .all(|byte| is_alphanumeric(byte) || b"-_.".contains(byte))
        {
            return Err(Malformed(
                "may have only the characters a-z, 0-9, '-', '_' and '.'",
            ));
        }
        if ![bytes.first(), bytes.last()]
            .into_iter()
            .flatten()
            .all(is_alphanumeric)
        {
            return Err(Malformed("must begin and end with a letter or digit"));
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for ClientName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A named token, without its secret.
#[derive(Debug, Clone)]
pub struct NamedToken {
    pub name: ClientName,
    pub hash: Hash,
    /// Scopes in the order in which they were given, without duplicates.
    pub scopes: Vec<Scope>,
    /// Projects in which [`Scope::Publish`] allows the client to write, without duplicates.
    pub projects: Vec<Gid>,
    pub created_at: Timestamp,
}

impl NamedToken {
    #[must_use]
    pub fn new(
        name: ClientName,
        secret: &Secret,
        scopes: &[Scope],
        projects: &[Gid],
        created_at: Timestamp,
    ) -> Self {
        Self {
            name,
            hash: secret.hash(),
            scopes: deduplicate(scopes),
            projects: deduplicate(projects),
            created_at,
        }
    }
}

/// Removes duplicates and keeps the order. Lists are short, so the quadratic time does not matter.
fn deduplicate<T: Copy + PartialEq>(values: &[T]) -> Vec<T> {
    let mut distinct = Vec::new();
    for &value in values {
        if !distinct.contains(&value) {
            distinct.push(value);
        }
    }
    distinct
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_valid_in_certificates() {
        for valid in [
            "a",
            "7",
            "records",
            "records-2.example.org",
            "a_b",
            &"x".repeat(64),
        ] {
            assert_eq!(valid.parse::<ClientName>().unwrap().as_str(), valid);
        }
        for invalid in [
            "",
            " ",
            "a b",
            "Records",
            "-a",
            "a-",
            ".a",
            "a.",
            "*",
            "a*b",
            "é",
            "a/b",
            "a,b",
            "a\n",
            "a\0",
            &"x".repeat(65),
        ] {
            assert!(invalid.parse::<ClientName>().is_err(), "{invalid:?}");
        }
    }

    #[test]
    fn duplicates_are_removed_and_order_is_kept() {
        assert_eq!(deduplicate(&[3, 1, 3, 2, 1]), [3, 1, 2]);
    }
}
