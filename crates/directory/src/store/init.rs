//! What one user may see, by two queries whose cost grows with the answer and not with the installation.

use diesel::prelude::*;
use doorward_domain::Gid;
use doorward_storage::{AnyConnection, Result};

use super::{
    membership, project,
    schema::{memberships, projects, users},
};
use crate::model::{Membership, Project, UserSummary};

diesel::alias!(memberships as mine: Mine);

/// All memberships of a user, whatever their state, with their projects.
pub(crate) fn own(connection: &mut AnyConnection, user: Gid) -> Result<Vec<(Membership, Project)>> {
    let rows: Vec<(membership::SyncRow, project::SyncRow)> = memberships::table
        .inner_join(projects::table)
        .filter(memberships::user_gid.eq(user.to_string()))
        .order(memberships::project_gid)
        .select((
            membership::SyncRow::as_select(),
            project::SyncRow::as_select(),
        ))
        .load(connection)?;
    rows.into_iter()
        .map(|(membership, project)| Ok((membership.try_into()?, project.try_into()?)))
        .collect()
}

/// The memberships of a user in some projects, whatever their state.
pub(crate) fn list_own_in(
    connection: &mut AnyConnection,
    user: Gid,
    projects: &[Gid],
) -> Result<Vec<(Membership, Project)>> {
    let gids: Vec<String> = projects.iter().map(Gid::to_string).collect();
    let rows: Vec<(membership::SyncRow, project::SyncRow)> = memberships::table
        .inner_join(projects::table)
        .filter(memberships::user_gid.eq(user.to_string()))
        .filter(memberships::project_gid.eq_any(gids))
        .select((
            membership::SyncRow::as_select(),
            project::SyncRow::as_select(),
        ))
        .load(connection)?;
    rows.into_iter()
        .map(|(membership, project)| Ok((membership.try_into()?, project.try_into()?)))
        .collect()
}

/// The active projects in which others see a user.
pub(crate) fn list_projects_showing(connection: &mut AnyConnection, user: Gid) -> Result<Vec<Gid>> {
    let gids: Vec<String> = memberships::table
        .inner_join(projects::table)
        .filter(memberships::user_gid.eq(user.to_string()))
        .filter(
            memberships::status
                .eq("active")
                .or(memberships::status.eq("invited")),
        )
        .filter(projects::status.eq("active"))
        .select(projects::gid)
        .load(connection)?;
    gids.into_iter().map(|gid| Ok(gid.parse()?)).collect()
}

/// Which of these people a user sees because they share a project.
pub(crate) fn list_visible_users(
    connection: &mut AnyConnection,
    user: Gid,
    people: &[Gid],
) -> Result<Vec<Gid>> {
    let people: Vec<String> = people.iter().map(Gid::to_string).collect();
    let gids: Vec<String> = mine
        .inner_join(projects::table.on(projects::gid.eq(mine.field(memberships::project_gid))))
        .inner_join(
            memberships::table
                .on(memberships::project_gid.eq(mine.field(memberships::project_gid))),
        )
        .filter(mine.field(memberships::user_gid).eq(user.to_string()))
        .filter(mine.field(memberships::status).eq("active"))
        .filter(projects::status.eq("active"))
        .filter(memberships::user_gid.eq_any(people))
        .filter(
            memberships::status
                .eq("active")
                .or(memberships::status.eq("invited")),
        )
        .select(memberships::user_gid)
        .distinct()
        .load(connection)?;
    gids.into_iter().map(|gid| Ok(gid.parse()?)).collect()
}

/// The memberships of others in one project, whatever their state, with the people.
pub(crate) fn list_others_in(
    connection: &mut AnyConnection,
    project: Gid,
    user: Gid,
) -> Result<Vec<(Membership, UserSummary)>> {
    let rows: Vec<(membership::SyncRow, UserSummaryRow)> = memberships::table
        .inner_join(users::table)
        .filter(memberships::project_gid.eq(project.to_string()))
        .filter(memberships::user_gid.ne(user.to_string()))
        .order(memberships::user_gid)
        .select((membership::SyncRow::as_select(), PERSON))
        .load(connection)?;
    rows.into_iter().map(to_membership_with_user).collect()
}

/// The memberships of others in the active projects of which the user is an active member, with the people. A person in
/// several of these projects comes several times.
pub(crate) fn list_others(
    connection: &mut AnyConnection,
    user: Gid,
) -> Result<Vec<(Membership, UserSummary)>> {
    let rows: Vec<(membership::SyncRow, UserSummaryRow)> = mine
        .inner_join(projects::table.on(projects::gid.eq(mine.field(memberships::project_gid))))
        .inner_join(
            memberships::table
                .on(memberships::project_gid.eq(mine.field(memberships::project_gid))),
        )
        .inner_join(users::table.on(users::gid.eq(memberships::user_gid)))
        .filter(mine.field(memberships::user_gid).eq(user.to_string()))
        .filter(mine.field(memberships::status).eq("active"))
        .filter(projects::status.eq("active"))
        .filter(memberships::user_gid.ne(user.to_string()))
        .order((memberships::project_gid, memberships::user_gid))
        .select((membership::SyncRow::as_select(), PERSON))
        .load(connection)?;
    rows.into_iter().map(to_membership_with_user).collect()
}

/// Whether both are in an active project: the one as an active member, the other as one or invited.
pub(crate) fn shares_project(
    connection: &mut AnyConnection,
    user: Gid,
    other: Gid,
) -> Result<bool> {
    let shared = mine
        .inner_join(projects::table.on(projects::gid.eq(mine.field(memberships::project_gid))))
        .inner_join(
            memberships::table
                .on(memberships::project_gid.eq(mine.field(memberships::project_gid))),
        )
        .filter(mine.field(memberships::user_gid).eq(user.to_string()))
        .filter(mine.field(memberships::status).eq("active"))
        .filter(projects::status.eq("active"))
        .filter(memberships::user_gid.eq(other.to_string()))
        .filter(
            memberships::status
                .eq("active")
                .or(memberships::status.eq("invited")),
        );
    Ok(diesel::select(diesel::dsl::exists(shared)).get_result(connection)?)
}

type UserSummaryRow = (String, Option<String>, String, Option<String>, String);
type UserSummaryColumns = (
    users::gid,
    users::username,
    users::name,
    users::avatar,
    users::status,
);
const PERSON: UserSummaryColumns = (
    users::gid,
    users::username,
    users::name,
    users::avatar,
    users::status,
);

fn to_membership_with_user(
    (membership, person): (membership::SyncRow, UserSummaryRow),
) -> Result<(Membership, UserSummary)> {
    let (gid, username, name, avatar, status) = person;
    let person = UserSummary {
        gid: gid.parse()?,
        username,
        name,
        avatar,
        status: status.parse()?,
    };
    Ok((membership.try_into()?, person))
}
