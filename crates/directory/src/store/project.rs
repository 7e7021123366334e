//! Projects, without their options. The rules of `projects/` decide which changes are allowed.

use diesel::prelude::*;
use doorward_domain::{Gid, Timestamp};
use doorward_storage::{AnyConnection, Error, Result};

use super::schema::projects;
use crate::model::Project;

#[derive(Queryable, Selectable, Insertable)]
#[diesel(table_name = projects)]
pub(super) struct SyncRow {
    gid: String,
    name: String,
    icon: Option<String>,
    owner_gid: String,
    status: String,
    timezone: String,
    created_at: i64,
    updated_at: i64,
    icon_file: Option<String>,
}

impl TryFrom<SyncRow> for Project {
    type Error = Error;

    fn try_from(row: SyncRow) -> Result<Self> {
        Ok(Self {
            gid: row.gid.parse()?,
            name: row.name,
            icon: row.icon,
            owner: row.owner_gid.parse()?,
            status: row.status.parse()?,
            timezone: row.timezone,
        })
    }
}

pub(crate) fn insert(
    connection: &mut AnyConnection,
    project: &Project,
    now: Timestamp,
) -> Result<()> {
    let row = SyncRow {
        gid: project.gid.to_string(),
        name: project.name.clone(),
        icon: project.icon.clone(),
        owner_gid: project.owner.to_string(),
        status: project.status.to_string(),
        timezone: project.timezone.clone(),
        created_at: now.as_micros(),
        updated_at: now.as_micros(),
        icon_file: None,
    };
    diesel::insert_into(projects::table)
        .values(&row)
        .execute(connection)?;
    Ok(())
}

pub(crate) fn find(connection: &mut AnyConnection, gid: Gid) -> Result<Option<Project>> {
    let row = projects::table
        .find(gid.to_string())
        .select(SyncRow::as_select())
        .get_result(connection)
        .optional()?;
    row.map(Project::try_from).transpose()
}

/// Returns a page of projects in the order of gids, after the last one of the previous page.
pub(crate) fn list(
    connection: &mut AnyConnection,
    after: Option<Gid>,
    limit: i64,
) -> Result<Vec<Project>> {
    let after = after.map(|gid| gid.to_string()).unwrap_or_default();
    let rows: Vec<SyncRow> = projects::table
        .filter(projects::gid.gt(after))
        .order(projects::gid)
        .limit(limit)
        .select(SyncRow::as_select())
        .load(connection)?;
    rows.into_iter().map(Project::try_from).collect()
}

/// Returns projects of one owner, in the order of their gids.
pub(crate) fn list_of_owner(
    connection: &mut AnyConnection,
    owner: Gid,
    limit: i64,
) -> Result<Vec<Project>> {
    let rows: Vec<SyncRow> = projects::table
        .filter(projects::owner_gid.eq(owner.to_string()))
        .order(projects::gid)
        .limit(limit)
        .select(SyncRow::as_select())
        .load(connection)?;
    rows.into_iter().map(Project::try_from).collect()
}

/// Updates a project, except its icon.
pub(crate) fn update(
    connection: &mut AnyConnection,
    project: &Project,
    now: Timestamp,
) -> Result<()> {
    diesel::update(projects::table.find(project.gid.to_string()))
        .set((
            projects::name.eq(&project.name),
            projects::owner_gid.eq(project.owner.to_string()),
            projects::status.eq(project.status.as_str()),
            projects::timezone.eq(&project.timezone),
            projects::updated_at.eq(now.as_micros()),
        ))
        .execute(connection)?;
    Ok(())
}

/// Finds the name of the file of a project's icon.
pub(crate) fn find_icon_file(connection: &mut AnyConnection, gid: Gid) -> Result<Option<String>> {
    let file = projects::table
        .find(gid.to_string())
        .select(projects::icon_file)
        .get_result(connection)
        .optional()?;
    Ok(file.flatten())
}

/// Sets the icon of a project: its public name, and the name of its file.
pub(crate) fn set_icon(
    connection: &mut AnyConnection,
    gid: Gid,
    icon: Option<&str>,
    file: Option<&str>,
    now: Timestamp,
) -> Result<()> {
    diesel::update(projects::table.find(gid.to_string()))
        .set((
            projects::icon.eq(icon),
            projects::icon_file.eq(file),
            projects::updated_at.eq(now.as_micros()),
        ))
        .execute(connection)?;
    Ok(())
}

/// Deletes a project. Its memberships and options must be deleted before.
pub(crate) fn delete(connection: &mut AnyConnection, gid: Gid) -> Result<()> {
    diesel::delete(projects::table.find(gid.to_string())).execute(connection)?;
    Ok(())
}

pub(crate) fn is_owner_of_any(connection: &mut AnyConnection, user: Gid) -> Result<bool> {
    owns_at_least(connection, user, 1)
}

/// Checks whether a user owns at least `count` projects, in any status. Stops to read at `count`.
pub(crate) fn owns_at_least(connection: &mut AnyConnection, user: Gid, count: u32) -> Result<bool> {
    // Skips `count - 1` rows of the index; a full count would read all projects of the user.
    let Some(skipped) = count.checked_sub(1) else {
        return Ok(true);
    };
    let last: Option<String> = projects::table
        .filter(projects::owner_gid.eq(user.to_string()))
        .order(projects::owner_gid)
        .select(projects::owner_gid)
        .offset(skipped.into())
        .limit(1)
        .get_result(connection)
        .optional()?;
    Ok(last.is_some())
}
