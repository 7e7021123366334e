//! Members of projects.

use doorward_domain::{Clock, Gid, MembershipStatus, ProjectStatus, Role, UserStatus};
use doorward_storage::AnyConnection;

use crate::{
    Directory, Error,
    caller::ActiveCaller,
    feed::{self, NewChange},
    model::Membership,
    policy::{self, Permission},
    store,
};

impl Directory {
    /// Makes a user an active member at once, also one who was invited, declined or deactivated.
    ///
    /// # Errors
    /// [`Error::ProjectNotFound`], [`Error::UserNotFound`], [`Error::UserNotActive`], [`Error::AlreadyMember`], and those
    /// of the database.
    pub async fn add_member(&self, project: Gid, user: Gid) -> Result<Membership, Error> {
        let clock = self.clock.clone();
        self.write(move |connection| add(connection, project, user, &*clock))
            .await
    }

    /// What an active user is in a project, unless it or their membership is not active.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn find_active_membership(
        &self,
        project: Gid,
        user: Gid,
    ) -> Result<Option<Membership>, Error> {
        self.database
            .read_snapshot(move |connection| {
                let user = store::user::find(connection, user)?
                    .filter(|user| user.status == UserStatus::Active);
                user.map_or(Ok(None), |user| {
                    Ok(find_active_membership(connection, project, user.gid)?)
                })
            })
            .await
    }

    /// A page in the order of user gids.
    ///
    /// # Errors
    /// [`Error::ProjectNotFound`], and those of the database.
    pub async fn list_members(
        &self,
        project: Gid,
        after: Option<Gid>,
        limit: i64,
    ) -> Result<Vec<Membership>, Error> {
        self.database
            .read_snapshot(move |connection| {
                store::project::find(connection, project)?.ok_or(Error::ProjectNotFound)?;
                Ok(store::membership::list_of_project(
                    connection, project, after, limit,
                )?)
            })
            .await
    }
}

/// Somebody who was invited by email, has no account, and is in no project any more.
pub(crate) fn is_unused_placeholder(
    connection: &mut AnyConnection,
    user: Gid,
) -> Result<bool, Error> {
    let is_placeholder =
        store::user::find(connection, user)?.is_some_and(|user| user.is_placeholder());
    Ok(is_placeholder && store::membership::list_of_user(connection, user)?.is_empty())
}

/// What somebody is in a project; nothing, unless both the membership and the project are active.
pub(crate) fn find_active_membership(
    connection: &mut AnyConnection,
    project: Gid,
    user: Gid,
) -> Result<Option<Membership>, doorward_storage::Error> {
    let found = store::membership::find_with_project(connection, project, user)?;
    let active = found
        .filter(|(own, project)| policy::active_role(*project, own.status, own.role).is_some());
    Ok(active.map(|(own, _)| own))
}

/// # Errors
/// [`Error::Forbidden`], whether or not there is such a project.
pub(crate) fn authorise(
    connection: &mut AnyConnection,
    project: Gid,
    caller: &ActiveCaller,
    deed: Permission,
) -> Result<(), Error> {
    let standing = find_active_membership(connection, project, caller.gid())?;
    if policy::is_allowed(standing.map(|own| own.role), deed) {
        Ok(())
    } else {
        Err(Error::Forbidden)
    }
}

fn add(
    connection: &mut AnyConnection,
    project: Gid,
    user: Gid,
    clock: &dyn Clock,
) -> Result<Membership, Error> {
    feed::lock(connection)?;
    let project = store::project::find(connection, project)?
        .filter(|project| project.status == ProjectStatus::Active)
        .ok_or(Error::ProjectNotFound)?;
    let user = store::user::find(connection, user)?.ok_or(Error::UserNotFound)?;
    if user.status != UserStatus::Active {
        return Err(Error::UserNotActive);
    }
    if user.is_api_user() {
        return Err(Error::UserIsApiUser);
    }
    let status = MembershipStatus::Active;
    let before = store::membership::find(connection, project.gid, user.gid)?;
    let membership = match &before {
        Some(membership) if membership.status == status => return Err(Error::AlreadyMember),
        Some(membership) => {
            store::membership::set_status(connection, project.gid, user.gid, status, clock.now())?;
            Membership {
                status,
                ..membership.clone()
            }
        }
        None => {
            let (project, user, role) = (project.gid, user.gid, Role::Member);
            let (rate_limit_per_second, notifications) = (None, None);
            let membership = Membership {
                project,
                user,
                role,
                status,
                rate_limit_per_second,
                notifications,
            };
            store::membership::insert(connection, &membership, clock.now())?;
            membership
        }
    };
    feed::append(
        connection,
        vec![NewChange::Membership {
            before,
            after: Some(membership.clone()),
        }],
        clock,
    )?;
    Ok(membership)
}
