//! Whom a notice of the feed concerns.

use std::{fmt, str::FromStr};

use doorward_domain::{Gid, Malformed};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Scope {
    /// One user, always.
    User(Gid),
    /// Those who see a project without being in it: who is invited, and its owner while it is deleted.
    Card(Gid),
    /// The active members of an active project.
    ProjectMembers(Gid),
    /// Those of them who follow what services publish in the project.
    ProjectFeed(Gid),
    /// Everybody, always.
    Everyone,
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::User(user) => write!(f, "user/{user}"),
            Self::Card(project) => write!(f, "summary/{project}"),
            Self::ProjectMembers(project) => write!(f, "project/{project}"),
            Self::ProjectFeed(project) => write!(f, "published/{project}"),
            Self::Everyone => f.write_str("all"),
        }
    }
}

impl FromStr for Scope {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        match text.split_once('/') {
            None if text == "all" => Ok(Self::Everyone),
            Some(("user", gid)) => Ok(Self::User(gid.parse()?)),
            Some(("summary", gid)) => Ok(Self::Card(gid.parse()?)),
            Some(("project", gid)) => Ok(Self::ProjectMembers(gid.parse()?)),
            Some(("published", gid)) => Ok(Self::ProjectFeed(gid.parse()?)),
            None | Some(_) => Err(Malformed("is no audience")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn audiences_round_trip() {
        let gid: Gid = "0191f2a0-0000-4000-8000-000000000001".parse().unwrap();
        for scope in [
            Scope::User(gid),
            Scope::Card(gid),
            Scope::ProjectMembers(gid),
            Scope::ProjectFeed(gid),
            Scope::Everyone,
        ] {
            assert_eq!(scope.to_string().parse(), Ok(scope));
        }
        assert!("user/x".parse::<Scope>().is_err() && "any".parse::<Scope>().is_err());
    }
}
