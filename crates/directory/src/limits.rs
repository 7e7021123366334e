//! Limits on the projects of a user and the memberships of a project. Rate limits are not checked
//! here, but in the gateway.

use doorward_domain::Gid;
use doorward_storage::AnyConnection;

use crate::{Error, store};

/// Bounds on what users may add. Administrators are not bound.
///
/// The checks are exact, also for concurrent calls: they run under the lock of the feed, in the
/// transaction that inserts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Projects that a user may own, deleted ones included until they are deleted permanently.
    pub projects_per_user: u32,
    /// Memberships that a project may have, in any status: the owner, API users, and open or
    /// declined invitations too.
    pub members_per_project: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            projects_per_user: 1000,
            members_per_project: 10_000,
        }
    }
}

impl Limits {
    /// Checks that a user may own one more project.
    ///
    /// # Errors
    /// [`Error::LimitReached`]. Database errors.
    pub(crate) fn check_projects(
        self,
        connection: &mut AnyConnection,
        owner: Gid,
    ) -> Result<(), Error> {
        let is_reached = store::project::owns_at_least(connection, owner, self.projects_per_user)?;
        if is_reached {
            Err(Error::LimitReached)
        } else {
            Ok(())
        }
    }

    /// Checks that a project may have one more membership.
    ///
    /// # Errors
    /// [`Error::LimitReached`]. Database errors.
    pub(crate) fn check_members(
        self,
        connection: &mut AnyConnection,
        project: Gid,
    ) -> Result<(), Error> {
        let is_reached =
            store::membership::has_at_least(connection, project, self.members_per_project)?;
        if is_reached {
            Err(Error::LimitReached)
        } else {
            Ok(())
        }
    }
}
