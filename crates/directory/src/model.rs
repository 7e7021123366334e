//! The entries of the directory as the rules use them, shared by rules, stores and feed. It does
//! not know database rows or gRPC messages.

use std::{fmt, str::FromStr};

use doorward_domain::{
    Gid, Malformed, MembershipStatus, ProjectStatus, Role, Timestamp, UserStatus,
};
use serde::{Deserialize, Serialize};

use crate::feed::audience::Audience;

/// A user with all details, which only the user and administrators see.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    pub gid: Gid,
    /// None for API users and placeholder accounts.
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
    /// Checks whether this is a placeholder account: a user who was invited by email and has no
    /// account yet.
    #[must_use]
    pub fn is_placeholder(&self) -> bool {
        self.username.is_none() && self.status == UserStatus::Invited
    }

    /// Checks whether this is an API user. Like a placeholder account, it has no username, so the
    /// status makes the difference.
    #[must_use]
    pub fn is_api_user(&self) -> bool {
        self.username.is_none() && matches!(self.status, UserStatus::Active | UserStatus::Inactive)
    }
}

/// A user as other users see them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserSummary {
    pub gid: Gid,
    pub username: Option<String>,
    pub name: String,
    pub avatar: Option<String>,
    pub status: UserStatus,
}

/// The summary of a project.
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

/// The lists and settings of a project that only its members see.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProjectOptions {
    pub channels: Vec<ProjectItem>,
    pub orderings: Vec<ProjectItem>,
    pub fieldlists: Vec<ProjectItem>,
    /// Codes of the global list of languages.
    pub languages: Vec<String>,
    pub timezone: String,
}

/// A channel, ordering or fieldlist of a project.
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

/// An API user with its membership.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiUser {
    pub user: User,
    pub membership: Membership,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Membership {
    pub project: Gid,
    pub user: Gid,
    pub role: Role,
    pub status: MembershipStatus,
    /// None: no limit.
    pub rate_limit_per_second: Option<u32>,
    /// None: the defaults.
    pub notifications: Option<Notifications>,
}

/// A user and their membership in one project, after a call.
#[derive(Debug, Clone)]
pub struct Member {
    pub user: User,
    pub membership: Membership,
}

/// Notification settings of a member. The directory only stores them; other services send the
/// notifications.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notifications {
    /// None: the address of the user's account.
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

/// A row of the change feed for services.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    pub cursor: i64,
    pub action: Action,
    pub data_type: String,
    pub data_key: String,
    /// Status of the entry after the change; empty if the entry was deleted.
    pub entry_status: String,
    pub changed_at: Timestamp,
    /// Project to whose feed a published row belongs. None: the global feed.
    pub project: Option<Gid>,
}

/// A change as it is delivered to the users of one audience.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FeedEvent {
    pub(crate) audience: Audience,
    pub(crate) cursor: i64,
    /// First cursor of the range of an event about all members of a project; `cursor` is the last.
    /// None for other events.
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
