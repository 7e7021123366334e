//! Changes as the rules describe them, before they become rows and events of the feed. A rule does
//! not know audiences or cursors.

use doorward_domain::Gid;

use crate::model::{Action, Membership, Project};

// Data types of the global feed, which are part of the published API.
pub(crate) const USERS: &str = "cc.users";
pub(crate) const PROJECTS: &str = "cc.projects";
pub(crate) const MEMBERSHIPS: &str = "cc.projects_members";
pub(crate) const API_VERSION: &str = "cc.version";
/// Stands for all members of a project, in the place of the user in the data key of a membership.
pub(crate) const ALL_MEMBERS: &str = "*";

/// PostgreSQL channel (`NOTIFY`) that wakes up other processes with the same database.
pub(crate) const NOTIFY_CHANNEL: &str = "doorward_feed";

/// One change, with what its events depend on.
#[derive(Debug)]
pub(crate) enum NewChange {
    User {
        action: Action,
        gid: Gid,
        /// Status after the change; empty if the user was deleted.
        status: &'static str,
    },
    /// The user has another email address than before.
    EmailChanged(Gid),
    /// `before` is None for a new membership, `after` is None for an ended one.
    Membership {
        before: Option<Membership>,
        after: Option<Membership>,
    },
    /// A membership that was deleted with its project.
    PurgedMembership(Membership),
    /// `before` is None for a new project, `after` is None for a purged one.
    Project {
        before: Option<Project>,
        after: Option<Project>,
    },
    /// A newer version of the published API.
    ApiVersion(String),
    /// A row that another service publishes in the feed of a project.
    PublishedRow {
        project: Gid,
        action: Action,
        data_type: String,
        data_key: String,
    },
}

impl NewChange {
    /// Describes a change of a user. `status` is the status after the change; empty if the user was
    /// deleted.
    pub(crate) const fn user(action: Action, gid: Gid, status: &'static str) -> Self {
        Self::User {
            action,
            gid,
            status,
        }
    }

    /// Describes a change of a project that keeps its status.
    pub(crate) fn project_updated(project: &Project) -> Self {
        Self::Project {
            before: Some(project.clone()),
            after: Some(project.clone()),
        }
    }
}
