//! Audiences: the groups of users that receive a feed event. An event names its audience, not its
//! users; who belongs to it at which cursor is stored as subscriptions.
//!
//! Example: ann owns the project herbarium, ben is a member, and dan is invited.
//!
//! | what happens | audiences of the events | received by |
//! | --- | --- | --- |
//! | ann renames the project | `summary/herbarium`, `project/herbarium` | dan; ann and ben |
//! | ben changes his name | `user/ben`, `project/herbarium` | ben; ann and ben |
//! | a service publishes a record | `published/herbarium` | ann and ben, on request |
//! | a new API version starts | `all` | every user |
//!
//! ben receives his new name once, because both events have the same cursor. dan does not receive
//! it: an invited user does not see the members.

use std::{fmt, str::FromStr};

use doorward_domain::{Gid, Malformed};

/// The users that receive a feed event, stored as `<kind>/<gid>`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Audience {
    /// One user. Needs no subscription.
    User(Gid),
    /// The users who see only the summary of a project: invited users, or the owner while the
    /// project is deleted.
    Summary(Gid),
    /// The active members of an active project.
    Members(Gid),
    /// The followers of a project's feed: the active members who ask for its published rows. Needs
    /// no subscription: Sync checks the membership.
    Followers(Gid),
    /// Every user. Needs no subscription.
    Everyone,
}

impl fmt::Display for Audience {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::User(user) => write!(f, "user/{user}"),
            Self::Summary(project) => write!(f, "summary/{project}"),
            Self::Members(project) => write!(f, "project/{project}"),
            Self::Followers(project) => write!(f, "published/{project}"),
            Self::Everyone => f.write_str("all"),
        }
    }
}

impl FromStr for Audience {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        match text.split_once('/') {
            None if text == "all" => Ok(Self::Everyone),
            Some(("user", gid)) => Ok(Self::User(gid.parse()?)),
            Some(("summary", gid)) => Ok(Self::Summary(gid.parse()?)),
            Some(("project", gid)) => Ok(Self::Members(gid.parse()?)),
            Some(("published", gid)) => Ok(Self::Followers(gid.parse()?)),
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
        for audience in [
            Audience::User(gid),
            Audience::Summary(gid),
            Audience::Members(gid),
            Audience::Followers(gid),
            Audience::Everyone,
        ] {
            assert_eq!(audience.to_string().parse(), Ok(audience));
        }
        assert!("user/x".parse::<Audience>().is_err() && "any".parse::<Audience>().is_err());
    }
}
