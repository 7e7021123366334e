//! A change as a rule describes it, before it becomes a row of the feed and its events.

use doorward_domain::Gid;

use crate::model::{Action, Membership, Project};

pub(crate) const USERS: &str = "cc.users";
pub(crate) const PROJECTS: &str = "cc.projects";
pub(crate) const MEMBERSHIPS: &str = "cc.projects_members";
pub(crate) const API_VERSION: &str = "cc.version";
/// In place of a user, in the key of a membership: all of a project's.
pub(crate) const ALL_MEMBERS: &str = "*";

/// On which other processes over the same PostgreSQL are woken up.
pub(crate) const NOTIFY_CHANNEL: &str = "doorward_feed";

/// What a writer has to say about one change.
#[derive(Debug)]
pub(crate) enum NewChange {
    User {
        action: Action,
        gid: Gid,
        /// Afterwards; empty when the user is gone.
        status: &'static str,
    },
    /// A user has another address than before.
    EmailChanged(Gid),
    /// None: there was none, or is none any more.
    Membership {
        before: Option<Membership>,
        after: Option<Membership>,
    },
    /// That goes with its project, all at once.
    PurgedMembership(Membership),
    Project {
        before: Option<Project>,
        after: Option<Project>,
    },
    ApiVersion(String),
    /// What a service publishes.
    SyncRow {
        project: Gid,
        action: Action,
        data_type: String,
        data_key: String,
    },
}

impl NewChange {
    /// `status` is the status of the user after the change; empty when the user was deleted.
    pub(crate) const fn user(action: Action, gid: Gid, status: &'static str) -> Self {
        Self::User {
            action,
            gid,
            status,
        }
    }

    /// A change of a project that keeps its status.
    pub(crate) fn project_updated(project: &Project) -> Self {
        Self::Project {
            before: Some(project.clone()),
            after: Some(project.clone()),
        }
    }
}
