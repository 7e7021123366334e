//! Access to a project that may be deleted: finds it, and checks the permission of the actor.

use doorward_domain::{Gid, MembershipStatus, Role};
use doorward_storage::AnyConnection;

use crate::{
    Actor, Error,
    model::Project,
    policy::{self, Permission},
    store,
};

/// Returns the project, if the actor has the permission. The owner keeps all permissions while the
/// project is deleted, and other members lose theirs for that time.
///
/// # Errors
/// [`Error::CallerNotActive`] and [`Error::Forbidden`] to a caller, the latter also if the project
/// does not exist; [`Error::ProjectNotFound`] to an administrator; database errors.
pub(crate) fn get_authorized(
    connection: &mut AnyConnection,
    actor: Actor,
    project: Gid,
    permission: Permission,
) -> Result<Project, Error> {
    let caller = actor.active(connection)?;
    let found = store::project::find(connection, project)?;
    let Some(caller) = caller else {
        return found.ok_or(Error::ProjectNotFound);
    };
    // The error must not reveal to a caller whether the project exists.
    let project = found.ok_or(Error::Forbidden)?;
    let own = store::membership::find(connection, project.gid, caller.gid())?;
    let own = own
        .filter(|own| own.status == MembershipStatus::Active)
        .ok_or(Error::Forbidden)?;
    let role = match own.role {
        Role::Owner => Some(Role::Owner),
        Role::Member | Role::Api => policy::active_role(project.status, own.status, own.role),
    };
    if policy::is_allowed(role, permission) {
        Ok(project)
    } else {
        Err(Error::Forbidden)
    }
}
