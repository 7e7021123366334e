//! Members of projects.

use doorward_domain::{Clock, Gid, MembershipStatus, ProjectStatus, Role, UserStatus};
use doorward_storage::AnyConnection;

use crate::{
    Directory, Error,
    model::{Action, Membership},
    store::{
        self,
        feed::{self, NewChange},
    },
};

impl Directory {
    /// Makes a user an active member at once, also one who was invited, declined or deactivated.
    ///
    /// # Errors
    /// [`Error::ProjectNotFound`], [`Error::UserNotFound`], [`Error::UserNotActive`], [`Error::AlreadyMember`], and those
    /// of the database.
    pub async fn add_member(&self, project: Gid, user: Gid) -> Result<Membership, Error> {
        let clock = self.clock.clone();
        self.database.write(move |connection| add(connection, project, user, &*clock)).await
    }

    /// A page in the order of user gids.
    ///
    /// # Errors
    /// [`Error::ProjectNotFound`], and those of the database.
    pub async fn list_members(&self, project: Gid, after: Option<Gid>, limit: i64) -> Result<Vec<Membership>, Error> {
        self.database
            .read(move |connection| {
                store::project::find(connection, project)?.ok_or(Error::ProjectNotFound)?;
                Ok(store::membership::list_of_project(connection, project, after, limit)?)
            })
            .await
    }
}

fn add(connection: &mut AnyConnection, project: Gid, user: Gid, clock: &dyn Clock) -> Result<Membership, Error> {
    feed::lock(connection)?;
    let project = store::project::find(connection, project)?
        .filter(|project| project.status == ProjectStatus::Active)
        .ok_or(Error::ProjectNotFound)?;
    let user = store::user::find(connection, user)?.ok_or(Error::UserNotFound)?;
    if user.status != UserStatus::Active {
        return Err(Error::UserNotActive);
    }
    let action = match store::membership::find(connection, project.gid, user.gid)? {
        Some(membership) if membership.status == MembershipStatus::Active => {
            return Err(Error::AlreadyMember);
        }
        Some(_) => Action::Update,
        None => Action::Insert,
    };
    let membership = Membership {
        project: project.gid,
        user: user.gid,
        role: Role::Member,
        status: MembershipStatus::Active,
        rate_limit_per_second: None,
    };
    if action == Action::Update {
        store::membership::activate(connection, project.gid, user.gid, clock.now())?;
    } else {
        match store::membership::insert(connection, &membership, clock.now()) {
            Err(doorward_storage::Error::Unique(_)) => return Err(Error::AlreadyMember),
            done => done?,
        }
    }
    feed::append(connection, vec![change(action, &membership, membership.status.as_str())], clock)?;
    Ok(membership)
}

pub(crate) fn change(action: Action, membership: &Membership, entry_status: &'static str) -> NewChange {
    let data_key = format!("{}/{}", membership.project, membership.user);
    NewChange { action, data_type: "cc.projects_members", data_key, entry_status }
}
