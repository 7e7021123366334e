//! Access of users to projects through their memberships, the check of permissions, and the calls
//! of administrators that add and list members. `policy.rs` decides what a role allows; this module
//! only finds the role.

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
    /// Makes a user an active member without an invitation, also a user who was invited, who
    /// declined, or whose membership was deactivated. This is for administrators: no permission is
    /// checked.
    ///
    /// # Errors
    /// [`Error::ProjectNotFound`] also if the project is deleted, [`Error::UserNotFound`],
    /// [`Error::UserNotActive`], [`Error::UserIsApiUser`], [`Error::AlreadyMember`], and database
    /// errors.
    pub async fn add_member(&self, project: Gid, user: Gid) -> Result<Membership, Error> {
        let clock = self.clock.clone();
        self.write(move |connection| add(connection, project, user, &*clock))
            .await
    }

    /// Finds the membership of a user in a project, if the user, the membership and the project are
    /// all active.
    ///
    /// # Errors
    /// Database errors.
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

    /// Returns a page of the memberships of a project in the order of user gids, after the last one
    /// of the previous page.
    ///
    /// # Errors
    /// [`Error::ProjectNotFound`], and database errors.
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

/// Finds the membership of a user in a project, if both the membership and the project are active.
/// It does not check the status of the user.
pub(crate) fn find_active_membership(
    connection: &mut AnyConnection,
    project: Gid,
    user: Gid,
) -> Result<Option<Membership>, doorward_storage::Error> {
    // One query reads both rows: every call in a project makes this check.
    let found = store::membership::find_with_project(connection, project, user)?;
    let active = found
        .filter(|(own, project)| policy::active_role(*project, own.status, own.role).is_some());
    Ok(active.map(|(own, _)| own))
}

/// Checks that the caller has a permission in a project.
///
/// # Errors
/// [`Error::Forbidden`], also if the project does not exist: the error must not reveal which gids
/// are in use. Database errors.
pub(crate) fn authorize(
    connection: &mut AnyConnection,
    project: Gid,
    caller: &ActiveCaller,
    permission: Permission,
) -> Result<(), Error> {
    let own = find_active_membership(connection, project, caller.gid())?;
    if policy::is_allowed(own.map(|own| own.role), permission) {
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
    // This covers placeholder accounts, too: an address that is not verified gives no access.
    if user.status != UserStatus::Active {
        return Err(Error::UserNotActive);
    }
    // An API user belongs to exactly one project, in which it was created.
    if user.is_api_user() {
        return Err(Error::UserIsApiUser);
    }
    let status = MembershipStatus::Active;
    // An existing membership keeps its rate limit and its notification settings.
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
            let membership = Membership {
                project: project.gid,
                user: user.gid,
                role: Role::Member,
                status,
                rate_limit_per_second: None,
                notifications: None,
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
