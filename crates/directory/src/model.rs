//! The entries of the directory, as its rules speak of them.

use std::{fmt, str::FromStr};

use doorward_domain::{
    Gid, Malformed, MembershipStatus, ProjectStatus, Role, Timestamp, UserStatus,
};
use serde::{Deserialize, Serialize};

use crate::feed::audience::Scope;

/// A user, complete: for themself and for administrators.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    pub gid: Gid,
    /// None for API users and for invitees without an account.
    pub username: Option<String>,
    pub email: Option<String>,
    pub name: String,
    /// `<gid>.<ext>`.
    pub avatar: Option<String>,
    pub status: UserStatus,
    pub language: String,
    pub timezone: String,
}

impl User {
    /// Who was invited by email and has no account yet.
    #[must_use]
    pub fn is_placeholder(&self) -> bool {
        self.username.is_none() && self.status == UserStatus::Invited
    }

    /// A program of a project: it has no name to log in by. (Who is invited by email has none yet either.)
    #[must_use]
    pub fn is_api_user(&self) -> bool {
        self.username.is_none() && matches!(self.status, UserStatus::Active | UserStatus::Inactive)
    }
}

/// A user as others see them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserSummary {
    pub gid: Gid,
    pub username: Option<String>,
    pub name: String,
    pub avatar: Option<String>,
    pub status: UserStatus,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Project {
    pub gid: Gid,
    pub name: String,
    /// `<gid>.<ext>`.
    pub icon: Option<String>,
    pub owner: Gid,
    pub status: ProjectStatus,
    pub timezone: String,
}

/// What a project has besides, in its full form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProjectOptions {
    pub channels: Vec<ProjectItem>,
    pub orderings: Vec<ProjectItem>,
    pub fieldlists: Vec<ProjectItem>,
    /// Codes of the global list.
    pub languages: Vec<String>,
    pub timezone: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProjectItem {
    pub gid: Gid,
    pub name: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ItemKind {
    Channel,
    Ordering,
    Fieldlist,
}

impl ItemKind {
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Channel => "channel",
            Self::Ordering => "ordering",
            Self::Fieldlist => "fieldlist",
        }
    }
}

impl FromStr for ItemKind {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        [Self::Channel, Self::Ordering, Self::Fieldlist]
            .into_iter()
            .find(|kind| kind.as_str() == text)
            .ok_or(Malformed("is no kind of a project's items"))
    }
}

/// A program of a project, with its membership.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserIsApiUser {
    pub user: User,
    pub membership: Membership,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Membership {
    pub project: Gid,
    pub user: Gid,
    pub role: Role,
    pub status: MembershipStatus,
    pub rate_limit_per_second: Option<u32>,
    /// None: what everybody begins with.
    pub notifications: Option<Notifications>,
}

/// What a member wants to be told of, and how.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notifications {
    /// None: to the user's own address.
    pub email: Option<String>,
    pub events: Vec<String>,
    pub frequency: String,
}

impl Default for Notifications {
    fn default() -> Self {
        Self {
            email: None,
            events: vec!["all".to_owned()],
            frequency: "immediate".to_owned(),
        }
    }
}

/// A row of the change feed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    pub cursor: i64,
    pub action: Action,
    pub data_type: String,
    pub data_key: String,
    /// The status of the entry after the change; empty when it is gone.
    pub entry_status: String,
    pub changed_at: Timestamp,
    /// Of what a service publishes in the feed of a project; None: of the global feed.
    pub project: Option<Gid>,
}

/// A change, as users are told of it whom its scope concerns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FeedEvent {
    pub(crate) audience: Scope,
    pub(crate) cursor: i64,
    /// Of a notice about all members of a project, which has a range of cursors: the first.
    pub(crate) first_cursor: Option<i64>,
    pub(crate) action: Action,
    pub(crate) data_type: String,
    pub(crate) data_key: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    Insert,
    Update,
    Delete,
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Insert => "INSERT",
            Self::Update => "UPDATE",
            Self::Delete => "DELETE",
        })
    }
}

impl FromStr for Action {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        match text {
            "INSERT" => Ok(Self::Insert),
            "UPDATE" => Ok(Self::Update),
            "DELETE" => Ok(Self::Delete),
            _ => Err(Malformed("not an action")),
        }
    }
}
