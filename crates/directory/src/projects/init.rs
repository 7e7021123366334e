//! What an app needs to start work in one project: the project in full and all its members, of one moment.

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

#[derive(Debug)]
pub struct ProjectInit {
    pub caller: User,
    /// The other members.
    pub users: Vec<UserSummary>,
    pub project: Gid,
    pub options: ProjectOptions,
    /// All that the caller may see, the project among them.
    pub projects: Vec<Project>,
    /// The caller's in each of these.
    pub own_memberships: Vec<Membership>,
    /// Of the other members of the project.
    pub other_memberships: Vec<Membership>,
    pub cursor: i64,
}

impl ProjectInit {
    /// All active members, the caller first.
    pub fn active_members(&self) -> impl Iterator<Item = Gid> {
        let others = self
            .other_memberships
            .iter()
            .filter(|other| other.status == MembershipStatus::Active);
        std::iter::once(self.caller.gid).chain(others.map(|other| other.user))
    }

    /// The caller's membership in the project.
    pub fn own_membership(&self) -> Option<&Membership> {
        self.own_memberships
            .iter()
            .find(|own| own.project == self.project)
    }

    /// Whether the options of other members are the caller's to see.
    pub fn is_owner(&self) -> bool {
        self.own_membership()
            .is_some_and(|own| own.role == Role::Owner)
    }
}

impl Directory {
    /// # Errors
    /// [`Error::CallerNotActive`]; [`Error::Forbidden`] for whoever is no active member of an active project; those of the
    /// database.
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
    access::authorise(connection, project, &caller, Permission::AccessProject)?;
    let (user, caller) = (caller.gid(), caller.into_user());
    let options = store::project_options::get(connection, project)?;
    let (own_memberships, projects) = init::own(connection, user)?;
    let (other_memberships, people) = store::init::list_others_in(connection, project, user)?
        .into_iter()
        .unzip();
    Ok(ProjectInit {
        caller,
        users: people,
        project,
        options,
        projects,
        own_memberships,
        other_memberships,
        cursor,
    })
}
