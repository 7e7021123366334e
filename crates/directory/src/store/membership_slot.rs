//! When each membership was there: each has a seat in its project, by which notices about all members are read page by page.

use diesel::{dsl::max, prelude::*};
use doorward_domain::Gid;
use doorward_storage::{AnyConnection, Error, Result};

use crate::store::{feed_subscription::OPEN_ENDED, schema::membership_slots};

#[derive(Queryable, Selectable, Insertable)]
#[diesel(table_name = membership_slots)]
struct SyncRow {
    project_gid: String,
    slot: i64,
    user_gid: String,
    opened_cursor: i64,
    closed_cursor: i64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct MembershipSlot {
    pub(crate) slot: i64,
    pub(crate) user: Gid,
    pub(crate) opened_cursor: i64,
    pub(crate) closed_cursor: i64,
}

impl TryFrom<SyncRow> for MembershipSlot {
    type Error = Error;

    fn try_from(row: SyncRow) -> Result<Self> {
        let SyncRow {
            slot: number,
            opened_cursor,
            closed_cursor: until_cursor,
            ..
        } = row;
        Ok(Self {
            slot: number,
            user: row.user_gid.parse()?,
            opened_cursor,
            closed_cursor: until_cursor,
        })
    }
}

/// How many seats a project has, empty ones too.
pub(crate) fn count(connection: &mut AnyConnection, project: Gid) -> Result<i64> {
    let last: Option<i64> = membership_slots::table
        .filter(membership_slots::project_gid.eq(project.to_string()))
        .select(max(membership_slots::slot))
        .get_result(connection)?;
    Ok(last.map_or(0, |last| last + 1))
}

/// For a membership that came with a change. One whose membership was deleted past the rules is kept.
pub(crate) fn open(
    connection: &mut AnyConnection,
    project: Gid,
    user: Gid,
    cursor: i64,
) -> Result<()> {
    let row = SyncRow {
        project_gid: project.to_string(),
        slot: count(connection, project)?,
        user_gid: user.to_string(),
        opened_cursor: cursor,
        closed_cursor: OPEN_ENDED,
    };
    match connection {
        AnyConnection::Postgres(connection) => diesel::insert_into(membership_slots::table)
            .values(&row)
            .on_conflict_do_nothing()
            .execute(connection)?,
        AnyConnection::Sqlite(connection) => diesel::insert_or_ignore_into(membership_slots::table)
            .values(&row)
            .execute(connection)?,
    };
    Ok(())
}

/// Of a membership that went with a change.
pub(crate) fn close(
    connection: &mut AnyConnection,
    project: Gid,
    user: Gid,
    cursor: i64,
) -> Result<()> {
    let own = membership_slots::table
        .filter(membership_slots::project_gid.eq(project.to_string()))
        .filter(membership_slots::user_gid.eq(user.to_string()))
        .filter(membership_slots::closed_cursor.eq(OPEN_ENDED));
    diesel::update(own)
        .set(membership_slots::closed_cursor.eq(cursor))
        .execute(connection)?;
    Ok(())
}

/// Of all memberships, with their project.
pub(crate) fn close_all(connection: &mut AnyConnection, project: Gid, cursor: i64) -> Result<()> {
    let open = membership_slots::table
        .filter(membership_slots::project_gid.eq(project.to_string()))
        .filter(membership_slots::closed_cursor.eq(OPEN_ENDED));
    diesel::update(open)
        .set(membership_slots::closed_cursor.eq(cursor))
        .execute(connection)?;
    Ok(())
}

/// From a number on, in order.
pub(crate) fn list(
    connection: &mut AnyConnection,
    project: Gid,
    from: i64,
    limit: usize,
) -> Result<Vec<MembershipSlot>> {
    let rows: Vec<SyncRow> = membership_slots::table
        .filter(membership_slots::project_gid.eq(project.to_string()))
        .filter(membership_slots::slot.ge(from))
        .order(membership_slots::slot)
        .limit(i64::try_from(limit).unwrap_or(i64::MAX))
        .select(SyncRow::as_select())
        .load(connection)?;
    rows.into_iter().map(MembershipSlot::try_from).collect()
}

/// Forgets the seats that were left before what is kept.
pub(crate) fn delete_until(connection: &mut AnyConnection, cursor: i64) -> Result<()> {
    diesel::delete(membership_slots::table.filter(membership_slots::closed_cursor.le(cursor)))
        .execute(connection)?;
    Ok(())
}
