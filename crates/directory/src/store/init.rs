//! The memberships, projects and users that one user sees. The cost of each query grows with its
//! result, not with the size of the database. The filters by status repeat the rules of
//! `visibility.rs` in SQL.

use diesel::prelude::*;
use doorward_domain::Gid;
use doorward_storage::{AnyConnection, Error, Result};

use super::{
    membership, project,
    schema::{memberships, projects, users},
};
use crate::model::{Membership, Project, UserSummary};

// The memberships of the user who asks, joined with those of other users in the same projects.
diesel::alias!(memberships as mine: Mine);

/// Returns all memberships of a user, in any status, with their projects.
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

/// Returns the memberships of a user in some projects, in any status, with the projects.
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

/// Returns the active projects in which the members see a user.
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

/// Returns those of some users that a user sees, because they share an active project.
pub(crate) fn list_visible_users(
    connection: &mut AnyConnection,
    user: Gid,
    candidates: &[Gid],
) -> Result<Vec<Gid>> {
    let candidates: Vec<String> = candidates.iter().map(Gid::to_string).collect();
    let gids: Vec<String> = mine
        .inner_join(projects::table.on(projects::gid.eq(mine.field(memberships::project_gid))))
        .inner_join(
            memberships::table
                .on(memberships::project_gid.eq(mine.field(memberships::project_gid))),
        )
        .filter(mine.field(memberships::user_gid).eq(user.to_string()))
        .filter(mine.field(memberships::status).eq("active"))
        .filter(projects::status.eq("active"))
        .filter(memberships::user_gid.eq_any(candidates))
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

/// Returns the memberships of other users in one project, in any status, with the users.
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
        .select((
            membership::SyncRow::as_select(),
            UserSummaryRow::as_select(),
        ))
        .load(connection)?;
    rows.into_iter()
        .map(|(membership, user)| Ok((membership.try_into()?, user.try_into()?)))
        .collect()
}

/// Returns the memberships of other users in the active projects of which the user is an active
/// member, with the users. A user in several of these projects is returned several times.
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
        .select((
            membership::SyncRow::as_select(),
            UserSummaryRow::as_select(),
        ))
        .load(connection)?;
    rows.into_iter()
        .map(|(membership, user)| Ok((membership.try_into()?, user.try_into()?)))
        .collect()
}

/// Checks whether a user sees another one: in some active project, the user is an active member,
/// and the other is active or invited.
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

#[derive(Queryable, Selectable)]
#[diesel(table_name = users)]
struct UserSummaryRow {
    gid: String,
    username: Option<String>,
    name: String,
    avatar: Option<String>,
    status: String,
}

impl TryFrom<UserSummaryRow> for UserSummary {
    type Error = Error;

    fn try_from(row: UserSummaryRow) -> Result<Self> {
        Ok(Self {
            gid: row.gid.parse()?,
            username: row.username,
            name: row.name,
            avatar: row.avatar,
            status: row.status.parse()?,
        })
    }
}
