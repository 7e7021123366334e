//! The random ids of invitations. They are secrets: only emailed links contain them, so they are
//! not part of [`Membership`](crate::model::Membership).

use diesel::prelude::*;
use doorward_domain::Gid;
use doorward_storage::{AnyConnection, Result};

use super::schema::memberships;

/// Finds the id of a user's newest invitation to a project.
pub(crate) fn find(connection: &mut AnyConnection, project: Gid, user: Gid) -> Result<Option<Gid>> {
    let id: Option<Option<String>> = memberships::table
        .find((project.to_string(), user.to_string()))
        .select(memberships::invitation_id)
        .get_result(connection)
        .optional()?;
    id.flatten().map(|id| Ok(id.parse()?)).transpose()
}

/// Finds the user of an invitation to a project.
pub(crate) fn find_invitee(
    connection: &mut AnyConnection,
    project: Gid,
    invitation: Gid,
) -> Result<Option<Gid>> {
    let user: Option<String> = memberships::table
        .filter(memberships::invitation_id.eq(invitation.to_string()))
        .filter(memberships::project_gid.eq(project.to_string()))
        .select(memberships::user_gid)
        .get_result(connection)
        .optional()?;
    user.map(|user| Ok(user.parse()?)).transpose()
}

/// Sets the id of a user's invitation to a project. A link with the previous id no longer works.
pub(crate) fn set(
    connection: &mut AnyConnection,
    project: Gid,
    user: Gid,
    invitation: Gid,
) -> Result<()> {
    diesel::update(memberships::table.find((project.to_string(), user.to_string())))
        .set(memberships::invitation_id.eq(invitation.to_string()))
        .execute(connection)?;
    Ok(())
}
