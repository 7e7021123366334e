//! The change feed. Cursors become visible in their order and without gaps: whoever appends first takes the lock on the
//! one row of `feed_head`, and holds it until the commit.

use diesel::{connection::SimpleConnection, prelude::*};
use doorward_domain::Timestamp;
use doorward_storage::{AnyConnection, Error, Result};

use crate::model::Change;
use crate::store::schema::{announced_api_version, feed_changes, feed_head, feed_tail};

/// Of one INSERT: PostgreSQL takes 65,535 values in all.
const MAX_ROWS: usize = 1000;

#[derive(Queryable, Selectable, Insertable)]
#[diesel(table_name = feed_changes)]
struct SyncRow {
    cursor: i64,
    action: String,
    data_type: String,
    data_key: String,
    entry_status: String,
    changed_at: i64,
    project_gid: Option<String>,
}

impl From<Change> for SyncRow {
    fn from(change: Change) -> Self {
        Self {
            cursor: change.cursor,
            action: change.action.to_string(),
            data_type: change.data_type,
            data_key: change.data_key,
            entry_status: change.entry_status,
            changed_at: change.changed_at.as_micros(),
            project_gid: change.project.map(|project| project.to_string()),
        }
    }
}

impl TryFrom<SyncRow> for Change {
    type Error = Error;

    fn try_from(row: SyncRow) -> Result<Self> {
        Ok(Self {
            cursor: row.cursor,
            action: row.action.parse()?,
            data_type: row.data_type,
            data_key: row.data_key,
            entry_status: row.entry_status,
            changed_at: Timestamp::from_micros(row.changed_at),
            project: row.project_gid.map(|project| project.parse()).transpose()?,
        })
    }
}

/// Makes other writers wait until the commit, and gives the last cursor that was given out.
pub(crate) fn lock(connection: &mut AnyConnection) -> Result<i64> {
    diesel::update(feed_head::table.find(1))
        .set(feed_head::cursor.eq(feed_head::cursor))
        .execute(connection)?;
    get_head(connection)
}

/// By who has the lock.
pub(crate) fn set_head(connection: &mut AnyConnection, cursor: i64) -> Result<()> {
    diesel::update(feed_head::table.find(1))
        .set(feed_head::cursor.eq(cursor))
        .execute(connection)?;
    Ok(())
}

pub(crate) fn insert_many(connection: &mut AnyConnection, changes: Vec<Change>) -> Result<()> {
    let rows: Vec<SyncRow> = changes.into_iter().map(SyncRow::from).collect();
    for rows in rows.chunks(MAX_ROWS) {
        match connection {
            AnyConnection::Postgres(connection) => diesel::insert_into(feed_changes::table)
                .values(rows)
                .execute(connection)?,
            AnyConnection::Sqlite(connection) => diesel::insert_into(feed_changes::table)
                .values(rows)
                .execute(connection)?,
        };
    }
    Ok(())
}

/// Wakes up who waits for changes at other processes, once this transaction is committed. SQLite has no such thing.
pub(crate) fn notify(connection: &mut AnyConnection, channel: &str) -> Result<()> {
    match connection {
        AnyConnection::Postgres(connection) => {
            connection.batch_execute(&format!("NOTIFY {channel}"))?
        }
        AnyConnection::Sqlite(_) => {}
    }
    Ok(())
}

/// The last cursor that was given out, as of this snapshot.
pub(crate) fn get_head(connection: &mut AnyConnection) -> Result<i64> {
    Ok(feed_head::table
        .find(1)
        .select(feed_head::cursor)
        .get_result(connection)?)
}

/// Returns the cursor of the newest change. It can be less than [`head`]: events of users and published rows have cursors too.
pub(crate) fn newest_change(connection: &mut AnyConnection) -> Result<i64> {
    let last: Option<i64> = feed_changes::table
        .select(diesel::dsl::max(feed_changes::cursor))
        .get_result(connection)?;
    match last {
        Some(cursor) => Ok(cursor),
        // Retention has deleted all of them.
        None => Ok(tail(connection)?.changes_cursor),
    }
}

/// What isn't kept any more: who has read up to an earlier cursor may have missed something.
#[derive(Debug, Clone, Copy, Queryable)]
pub(crate) struct FeedTail {
    pub(crate) changes_cursor: i64,
    pub(crate) events_cursor: i64,
}

pub(crate) fn tail(connection: &mut AnyConnection) -> Result<FeedTail> {
    let columns = (feed_tail::changes_cursor, feed_tail::events_cursor);
    Ok(feed_tail::table
        .find(1)
        .select(columns)
        .get_result(connection)?)
}

/// Never backwards: others may do the same, and notices may have begun later than changes. Waits for who does the same.
pub(crate) fn advance_tail(connection: &mut AnyConnection, cursor: i64) -> Result<()> {
    let tail = feed_tail::table.find(1);
    diesel::update(tail.filter(feed_tail::changes_cursor.lt(cursor)))
        .set(feed_tail::changes_cursor.eq(cursor))
        .execute(connection)?;
    diesel::update(tail.filter(feed_tail::events_cursor.lt(cursor)))
        .set(feed_tail::events_cursor.eq(cursor))
        .execute(connection)?;
    Ok(())
}

/// The last of the first so many changes, as far as they are from before a time.
pub(crate) fn find_last_before(
    connection: &mut AnyConnection,
    time: Timestamp,
    limit: i64,
) -> Result<Option<i64>> {
    let first: Vec<(i64, i64)> = feed_changes::table
        .order(feed_changes::cursor)
        .limit(limit)
        .select((feed_changes::cursor, feed_changes::changed_at))
        .load(connection)?;
    let is_before = |(_, changed_at): &&(i64, i64)| *changed_at < time.as_micros();
    Ok(first
        .iter()
        .take_while(is_before)
        .last()
        .map(|(cursor, _)| *cursor))
}

pub(crate) fn delete_until(connection: &mut AnyConnection, cursor: i64) -> Result<()> {
    diesel::delete(feed_changes::table.filter(feed_changes::cursor.le(cursor)))
        .execute(connection)?;
    Ok(())
}

pub(crate) fn find_api_version(connection: &mut AnyConnection) -> Result<Option<String>> {
    Ok(announced_api_version::table
        .find(1)
        .select(announced_api_version::api_version)
        .get_result(connection)
        .optional()?)
}

pub(crate) fn set_api_version(connection: &mut AnyConnection, release: &str) -> Result<()> {
    diesel::delete(announced_api_version::table.find(1)).execute(connection)?;
    diesel::insert_into(announced_api_version::table)
        .values((
            announced_api_version::id.eq(1),
            announced_api_version::api_version.eq(release),
        ))
        .execute(connection)?;
    Ok(())
}

/// The changes after a cursor, in order.
pub(crate) fn list(connection: &mut AnyConnection, after: i64, limit: i64) -> Result<Vec<Change>> {
    let rows: Vec<SyncRow> = feed_changes::table
        .filter(feed_changes::cursor.gt(after))
        .order(feed_changes::cursor)
        .limit(limit)
        .select(SyncRow::as_select())
        .load(connection)?;
    rows.into_iter().map(Change::try_from).collect()
}
