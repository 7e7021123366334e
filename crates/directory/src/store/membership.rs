//! Memberships. The rules of `members/` decide which changes are allowed.

use diesel::prelude::*;
use doorward_domain::{Gid, MembershipStatus, ProjectStatus, Role, Timestamp};
use doorward_storage::{AnyConnection, Error, Result};

use super::schema::{memberships, projects, users};
use crate::model::Membership;

#[derive(Queryable, Selectable, Insertable)]
#[diesel(table_name = memberships)]
pub(super) struct SyncRow {
    project_gid: String,
    user_gid: String,
    role: String,
    status: String,
    rate_limit_per_second: Option<i64>,
    created_at: i64,
    updated_at: i64,
    notifications: Option<String>,
}

impl TryFrom<SyncRow> for Membership {
    type Error = Error;

    fn try_from(row: SyncRow) -> Result<Self> {
        Ok(Self {
            project: row.project_gid.parse()?,
            user: row.user_gid.parse()?,
            role: row.role.parse()?,
            status: row.status.parse()?,
            rate_limit_per_second: row
                .rate_limit_per_second
                .and_then(|limit| u32::try_from(limit).ok()),
            // A newer release may store another form; then the user gets the defaults.
            notifications: row
                .notifications
                .and_then(|json| serde_json::from_str(&json).ok()),
        })
    }
}

/// Inserts a membership without notification settings.
pub(crate) fn insert(
    connection: &mut AnyConnection,
    membership: &Membership,
    now: Timestamp,
) -> Result<()> {
    let row = SyncRow {
        project_gid: membership.project.to_string(),
        user_gid: membership.user.to_string(),
        role: membership.role.to_string(),
        status: membership.status.to_string(),
        rate_limit_per_second: membership.rate_limit_per_second.map(i64::from),
        created_at: now.as_micros(),
        updated_at: now.as_micros(),
        notifications: None,
    };
    diesel::insert_into(memberships::table)
        .values(&row)
        .execute(connection)?;
    Ok(())
}

pub(crate) fn find(
    connection: &mut AnyConnection,
    project: Gid,
    user: Gid,
) -> Result<Option<Membership>> {
    let row = memberships::table
        .find((project.to_string(), user.to_string()))
        .select(SyncRow::as_select())
        .get_result(connection)
        .optional()?;
    row.map(Membership::try_from).transpose()
}

/// Finds a membership with the status of its project.
pub(crate) fn find_with_project(
    connection: &mut AnyConnection,
    project: Gid,
    user: Gid,
) -> Result<Option<(Membership, ProjectStatus)>> {
    let row: Option<(SyncRow, String)> = memberships::table
        .inner_join(projects::table)
        .filter(memberships::project_gid.eq(project.to_string()))
        .filter(memberships::user_gid.eq(user.to_string()))
        .select((SyncRow::as_select(), projects::status))
        .get_result(connection)
        .optional()?;
    row.map(|(row, status)| Ok((row.try_into()?, status.parse()?)))
        .transpose()
}

pub(crate) fn set_status(
    connection: &mut AnyConnection,
    project: Gid,
    user: Gid,
    status: MembershipStatus,
    now: Timestamp,
) -> Result<()> {
    diesel::update(memberships::table.find((project.to_string(), user.to_string())))
        .set((
            memberships::status.eq(status.as_str()),
            memberships::updated_at.eq(now.as_micros()),
        ))
        .execute(connection)?;
    Ok(())
}

pub(crate) fn set_role(
    connection: &mut AnyConnection,
    project: Gid,
    user: Gid,
    role: Role,
    now: Timestamp,
) -> Result<()> {
    diesel::update(memberships::table.find((project.to_string(), user.to_string())))
        .set((
            memberships::role.eq(role.as_str()),
            memberships::updated_at.eq(now.as_micros()),
        ))
        .execute(connection)?;
    Ok(())
}

/// Updates the rate limit and the notification settings of a membership.
pub(crate) fn set_options(
    connection: &mut AnyConnection,
    membership: &Membership,
    now: Timestamp,
) -> Result<()> {
    let notifications = membership
        .notifications
        .as_ref()
        .map(serde_json::to_string)
        .transpose();
    let notifications = notifications.map_err(|error| Error::Other(error.to_string()))?;
    diesel::update(
        memberships::table.find((membership.project.to_string(), membership.user.to_string())),
    )
    .set((
        memberships::rate_limit_per_second.eq(membership.rate_limit_per_second.map(i64::from)),
        memberships::notifications.eq(notifications),
        memberships::updated_at.eq(now.as_micros()),
    ))
    .execute(connection)?;
    Ok(())
}

pub(crate) fn delete(connection: &mut AnyConnection, project: Gid, user: Gid) -> Result<()> {
    diesel::delete(memberships::table.find((project.to_string(), user.to_string())))
        .execute(connection)?;
    Ok(())
}

pub(crate) fn delete_all_of_project(connection: &mut AnyConnection, project: Gid) -> Result<()> {
    diesel::delete(memberships::table.filter(memberships::project_gid.eq(project.to_string())))
        .execute(connection)?;
    Ok(())
}

pub(crate) fn list_of_user(connection: &mut AnyConnection, user: Gid) -> Result<Vec<Membership>> {
    let rows: Vec<SyncRow> = memberships::table
        .filter(memberships::user_gid.eq(user.to_string()))
        .order(memberships::project_gid)
        .select(SyncRow::as_select())
        .load(connection)?;
    rows.into_iter().map(Membership::try_from).collect()
}

pub(crate) fn list_of_users(
    connection: &mut AnyConnection,
    project: Gid,
    users: &[Gid],
) -> Result<Vec<Membership>> {
    let users: Vec<String> = users.iter().map(Gid::to_string).collect();
    let rows: Vec<SyncRow> = memberships::table
        .filter(memberships::project_gid.eq(project.to_string()))
        .filter(memberships::user_gid.eq_any(users))
        .select(SyncRow::as_select())
        .load(connection)?;
    rows.into_iter().map(Membership::try_from).collect()
}

/// Returns a page of the memberships of a project in the order of user gids, after the last one of
/// the previous page.
pub(crate) fn list_of_project(
    connection: &mut AnyConnection,
    project: Gid,
    after: Option<Gid>,
    limit: i64,
) -> Result<Vec<Membership>> {
    let after = after.map(|gid| gid.to_string()).unwrap_or_default();
    let rows: Vec<SyncRow> = memberships::table
        .filter(memberships::project_gid.eq(project.to_string()))
        .filter(memberships::user_gid.gt(after))
        .order(memberships::user_gid)
        .limit(limit)
        .select(SyncRow::as_select())
        .load(connection)?;
    rows.into_iter().map(Membership::try_from).collect()
}

/// Checks whether a project has at least `count` memberships, in any status. Stops to read at
/// `count`.
pub(crate) fn has_at_least(
    connection: &mut AnyConnection,
    project: Gid,
    count: u32,
) -> Result<bool> {
    // Skips `count - 1` rows of the index; a full count would read all memberships.
    let Some(skipped) = count.checked_sub(1) else {
        return Ok(true);
    };
    let last: Option<String> = memberships::table
        .filter(memberships::project_gid.eq(project.to_string()))
        .order(memberships::user_gid)
        .select(memberships::user_gid)
        .offset(skipped.into())
        .limit(1)
        .get_result(connection)
        .optional()?;
    Ok(last.is_some())
}

/// Number of memberships in one query of [`list_all`].
const PAGE: i64 = 1000;

/// Returns all memberships of a project, read in pages.
pub(crate) fn list_all(connection: &mut AnyConnection, project: Gid) -> Result<Vec<Membership>> {
    let mut all: Vec<Membership> = Vec::new();
    loop {
        let after = all.last().map(|last| last.user);
        let mut page = list_of_project(connection, project, after, PAGE)?;
        if page.is_empty() {
            return Ok(all);
        }
        all.append(&mut page);
    }
}

/// Returns the placeholder accounts with a membership in a project.
pub(crate) fn list_placeholders(connection: &mut AnyConnection, project: Gid) -> Result<Vec<Gid>> {
    let gids: Vec<String> = memberships::table
        .inner_join(users::table)
        .filter(memberships::project_gid.eq(project.to_string()))
        .filter(users::username.is_null())
        .filter(users::status.eq("invited"))
        .select(users::gid)
        .load(connection)?;
    gids.into_iter().map(|gid| Ok(gid.parse()?)).collect()
}

pub(crate) fn delete_all_of_user(connection: &mut AnyConnection, user: Gid) -> Result<()> {
    diesel::delete(memberships::table.filter(memberships::user_gid.eq(user.to_string())))
        .execute(connection)?;
    Ok(())
}
