//! Membership slots: the numbered place of each membership in its project, with the cursors at
//! which it was opened and closed. An event about all members has two cursors for each slot, so
//! clients can read it in pages. The example in `feed/sync.rs` shows such a page.
//!
//! Example: in the project herbarium, dan is activated; the event about all members has the range
//! 151 to 156, two cursors for each of the slots 0 to 2. ben is removed at cursor 200, and eva is
//! invited at cursor 210. When dan reads the event after that, the slots are:
//!
//! | slot | user | opened | closed | covered by the event |
//! | --- | --- | --- | --- | --- |
//! | 0 | ann | 10 | open | yes, with the cursors 151 and 152 |
//! | 1 | ben | 20 | 200 | no: an INSERT does not add an ended membership |
//! | 2 | dan | 90 | open | no: it is the reader's own |
//! | 3 | eva | 210 | open | no: it was opened later, and has an event of its own |
//!
//! 1. A slot is opened when a membership is inserted, in any status; a change of the status
//!    changes nothing here. ben's next membership would get slot 4.
//! 2. A closed slot is deleted by retention, when no event from before its end is stored any more.

use diesel::{dsl::max, prelude::*};
use doorward_domain::Gid;
use doorward_storage::{AnyConnection, Error, Result};

use crate::store::{feed_subscription::OPEN_ENDED, schema::membership_slots};

#[derive(Queryable, Selectable, Insertable)]
#[diesel(table_name = membership_slots)]
struct SlotRow {
    project_gid: String,
    slot: i64,
    user_gid: String,
    opened_cursor: i64,
    closed_cursor: i64,
}

/// The place of one membership in its project.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct MembershipSlot {
    /// Number of the slot, from 0.
    pub(crate) slot: i64,
    pub(crate) user: Gid,
    /// First cursor of the change that inserted the membership.
    pub(crate) opened_cursor: i64,
    /// Cursor of the change that deleted the membership; [`OPEN_ENDED`] if it exists.
    pub(crate) closed_cursor: i64,
}

impl TryFrom<SlotRow> for MembershipSlot {
    type Error = Error;

    fn try_from(row: SlotRow) -> Result<Self> {
        Ok(Self {
            slot: row.slot,
            user: row.user_gid.parse()?,
            opened_cursor: row.opened_cursor,
            closed_cursor: row.closed_cursor,
        })
    }
}

/// Returns the number of slots of a project, closed ones included: the number of the next slot.
pub(crate) fn count(connection: &mut AnyConnection, project: Gid) -> Result<i64> {
    let last: Option<i64> = membership_slots::table
        .filter(membership_slots::project_gid.eq(project.to_string()))
        .select(max(membership_slots::slot))
        .get_result(connection)?;
    Ok(last.map_or(0, |last| last + 1))
}

/// Opens a slot for a new membership. `cursor` is the first cursor of its change.
///
/// If the user has an open slot in the project, it stays open. This can happen only if the
/// membership was deleted in the database and not through the rules.
pub(crate) fn open(
    connection: &mut AnyConnection,
    project: Gid,
    user: Gid,
    cursor: i64,
) -> Result<()> {
    let row = SlotRow {
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

/// Closes the slot of a deleted membership. `cursor` is the first cursor of its change.
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

/// Closes the slots of all memberships of a purged project.
pub(crate) fn close_all(connection: &mut AnyConnection, project: Gid, cursor: i64) -> Result<()> {
    let open = membership_slots::table
        .filter(membership_slots::project_gid.eq(project.to_string()))
        .filter(membership_slots::closed_cursor.eq(OPEN_ENDED));
    diesel::update(open)
        .set(membership_slots::closed_cursor.eq(cursor))
        .execute(connection)?;
    Ok(())
}

/// Returns slots from a number on, ordered by number, at most `limit`.
pub(crate) fn list(
    connection: &mut AnyConnection,
    project: Gid,
    from: i64,
    limit: usize,
) -> Result<Vec<MembershipSlot>> {
    let rows: Vec<SlotRow> = membership_slots::table
        .filter(membership_slots::project_gid.eq(project.to_string()))
        .filter(membership_slots::slot.ge(from))
        .order(membership_slots::slot)
        .limit(i64::try_from(limit).unwrap_or(i64::MAX))
        .select(SlotRow::as_select())
        .load(connection)?;
    rows.into_iter().map(MembershipSlot::try_from).collect()
}

/// Deletes the slots that were closed up to a cursor.
pub(crate) fn delete_until(connection: &mut AnyConnection, cursor: i64) -> Result<()> {
    diesel::delete(membership_slots::table.filter(membership_slots::closed_cursor.le(cursor)))
        .execute(connection)?;
    Ok(())
}
