//! The init of one project: the full project and all its members at one moment, with the head of
//! the change feed. `users/init.rs` has the init of a user, and the rules for what a user sees.

use doorward_domain::{Gid, MembershipStatus, Role};
use doorward_storage::AnyConnection;

use crate::{
    Caller, Directory, Error,
    members::access,
    model::{Membership, Project, ProjectOptions, User, UserSummary},
    policy::Permission,
    store,
    users::init,
};

/// Everything that an app needs to work in one project, at one moment.
#[derive(Debug)]
pub struct ProjectInit {
    pub caller: User,
    /// The other members.
    pub users: Vec<UserSummary>,
    pub project: Gid,
    pub options: ProjectOptions,
    /// All projects that the caller sees, this project included.
    pub projects: Vec<Project>,
    /// The caller's memberships in `projects`, in the same order.
    pub own_memberships: Vec<Membership>,
    /// Memberships of the other members of the project.
    pub other_memberships: Vec<Membership>,
    /// Head of the change feed.
    pub cursor: i64,
}

impl ProjectInit {
    /// Returns the active members of the project, the caller first.
    pub fn active_members(&self) -> impl Iterator<Item = Gid> {
        let others = self
            .other_memberships
            .iter()
            .filter(|other| other.status == MembershipStatus::Active);
        std::iter::once(self.caller.gid).chain(others.map(|other| other.user))
    }

    /// Returns the caller's membership in the project.
    #[must_use]
    pub fn own_membership(&self) -> Option<&Membership> {
        self.own_memberships
            .iter()
            .find(|own| own.project == self.project)
    }

    /// Checks whether the caller is the owner, who sees the options of other members.
    #[must_use]
    pub fn is_owner(&self) -> bool {
        self.own_membership()
            .is_some_and(|own| own.role == Role::Owner)
    }
}

impl Directory {
    /// Returns the init of a project.
    ///
    /// # Errors
    /// [`Error::CallerNotActive`]; [`Error::Forbidden`] if the caller is not an active member or
    /// the project is not active; database errors.
    pub async fn get_project_init(
        &self,
        project: Gid,
        caller: Caller,
    ) -> Result<ProjectInit, Error> {
        self.database
            .read_snapshot(move |connection| get(connection, project, caller))
            .await
    }
}

fn get(connection: &mut AnyConnection, project: Gid, caller: Caller) -> Result<ProjectInit, Error> {
    let cursor = store::feed_change::get_head(connection)?;
    let caller = caller.active(connection)?;
    access::authorize(connection, project, &caller, Permission::AccessProject)?;
    let caller = caller.into_user();
    let options = store::project_options::get(connection, project)?;
    let (own_memberships, projects) = init::own(connection, caller.gid)?;
    // In the init of a project, the users of declined and inactive memberships are included, too.
    let (other_memberships, users) = store::init::list_others_in(connection, project, caller.gid)?
        .into_iter()
        .unzip();
    Ok(ProjectInit {
        caller,
        users,
        project,
        options,
        projects,
        own_memberships,
        other_memberships,
        cursor,
    })
}
