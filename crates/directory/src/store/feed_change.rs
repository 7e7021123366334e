//! Changes of the feed, its head and its tail. Cursors become visible in order and without gaps: a
//! writer locks the only row of `feed_head` until the commit. See
//! `docs/adr/0005-cursors-under-one-lock.md`.
//!
//! Example: with a plain sequence, A takes cursor 7 and B takes cursor 8; B commits first, a reader
//! reads 8 and continues after it, and never sees 7. With the lock, B waits for the commit of A.

use diesel::{connection::SimpleConnection, prelude::*};
use doorward_domain::Timestamp;
use doorward_storage::{AnyConnection, Error, Result};

use crate::model::Change;
use crate::store::schema::{announced_api_version, feed_changes, feed_head, feed_tail};

/// Maximum number of rows in one INSERT: PostgreSQL accepts at most 65,535 parameters in a
/// statement.
const MAX_ROWS: usize = 1000;

#[derive(Queryable, Selectable, Insertable)]
#[diesel(table_name = feed_changes)]
struct ChangeRow {
    cursor: i64,
    action: String,
    data_type: String,
    data_key: String,
    entry_status: String,
    changed_at: i64,
    project_gid: Option<String>,
}

impl From<Change> for ChangeRow {
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

impl TryFrom<ChangeRow> for Change {
    type Error = Error;

    fn try_from(row: ChangeRow) -> Result<Self> {
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

/// Locks the head until the commit, so that other writers wait, and returns the last cursor that
/// was assigned.
pub(crate) fn lock(connection: &mut AnyConnection) -> Result<i64> {
    // An update that changes nothing locks the row on PostgreSQL. On SQLite, the write transaction
    // holds the lock of the database anyway.
    diesel::update(feed_head::table.find(1))
        .set(feed_head::cursor.eq(feed_head::cursor))
        .execute(connection)?;
    get_head(connection)
}

/// Sets the last cursor. The caller must hold the lock.
pub(crate) fn set_head(connection: &mut AnyConnection, cursor: i64) -> Result<()> {
    diesel::update(feed_head::table.find(1))
        .set(feed_head::cursor.eq(cursor))
        .execute(connection)?;
    Ok(())
}

/// Inserts changes with their cursors. The caller must hold the lock.
pub(crate) fn insert_many(connection: &mut AnyConnection, changes: Vec<Change>) -> Result<()> {
    let rows: Vec<ChangeRow> = changes.into_iter().map(ChangeRow::from).collect();
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

/// Wakes up the streams of other processes when this transaction is committed. SQLite has no
/// notifications.
pub(crate) fn notify(connection: &mut AnyConnection, channel: &str) -> Result<()> {
    match connection {
        AnyConnection::Postgres(connection) => {
            connection.batch_execute(&format!("NOTIFY {channel}"))?;
        }
        AnyConnection::Sqlite(_) => {}
    }
    Ok(())
}

/// Returns the last cursor that was assigned, as of this snapshot.
pub(crate) fn get_head(connection: &mut AnyConnection) -> Result<i64> {
    Ok(feed_head::table
        .find(1)
        .select(feed_head::cursor)
        .get_result(connection)?)
}

/// Returns the cursor of the newest change. It can be less than
/// [`get_head`]: feed events can have cursors of their own.
pub(crate) fn newest_change(connection: &mut AnyConnection) -> Result<i64> {
    let last: Option<i64> = feed_changes::table
        .select(diesel::dsl::max(feed_changes::cursor))
        .get_result(connection)?;
    match last {
        Some(cursor) => Ok(cursor),
        // Retention has deleted all changes.
        None => Ok(tail(connection)?.changes_cursor),
    }
}

/// Last deleted positions. A client that has read only up to an earlier cursor may have missed
/// rows.
#[derive(Debug, Clone, Copy, Queryable)]
pub(crate) struct FeedTail {
    pub(crate) changes_cursor: i64,
    pub(crate) events_cursor: i64,
}

/// Returns the tail of the feed.
pub(crate) fn tail(connection: &mut AnyConnection) -> Result<FeedTail> {
    let columns = (feed_tail::changes_cursor, feed_tail::events_cursor);
    Ok(feed_tail::table
        .find(1)
        .select(columns)
        .get_result(connection)?)
}

/// Moves the tail forward, never backward: another process may have moved it further, and events
/// may start later than changes. Waits for other transactions that move it.
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

/// Returns the cursor of the last change before `time` among the first `limit` changes.
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

/// Deletes the changes up to a cursor.
pub(crate) fn delete_until(connection: &mut AnyConnection, cursor: i64) -> Result<()> {
    diesel::delete(feed_changes::table.filter(feed_changes::cursor.le(cursor)))
        .execute(connection)?;
    Ok(())
}

/// Finds the API version that was announced last.
pub(crate) fn find_api_version(connection: &mut AnyConnection) -> Result<Option<String>> {
    Ok(announced_api_version::table
        .find(1)
        .select(announced_api_version::api_version)
        .get_result(connection)
        .optional()?)
}

/// Stores the announced API version.
pub(crate) fn set_api_version(connection: &mut AnyConnection, api_version: &str) -> Result<()> {
    diesel::delete(announced_api_version::table.find(1)).execute(connection)?;
    diesel::insert_into(announced_api_version::table)
        .values((
            announced_api_version::id.eq(1),
            announced_api_version::api_version.eq(api_version),
        ))
        .execute(connection)?;
    Ok(())
}

/// Returns the first changes after a cursor, ordered by cursor.
pub(crate) fn list(connection: &mut AnyConnection, after: i64, limit: i64) -> Result<Vec<Change>> {
    let rows: Vec<ChangeRow> = feed_changes::table
        .filter(feed_changes::cursor.gt(after))
        .order(feed_changes::cursor)
        .limit(limit)
        .select(ChangeRow::as_select())
        .load(connection)?;
    rows.into_iter().map(Change::try_from).collect()
}
