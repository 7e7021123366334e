//! The change feed. Cursors become visible in their order and without gaps: whoever appends first takes the lock on the
//! one row of `feed_head`, and holds it until the commit.

use diesel::prelude::*;
use doorward_domain::Timestamp;
use doorward_storage::{AnyConnection, Error, Result};

use super::schema::{feed, feed_head};
use crate::model::{Action, Change};

#[derive(Queryable, Selectable, Insertable)]
#[diesel(table_name = feed)]
struct Row {
    cursor: i64,
    action: String,
    data_type: String,
    data_key: String,
    entry_status: String,
    changed_at: i64,
}

impl TryFrom<Row> for Change {
    type Error = Error;

    fn try_from(row: Row) -> Result<Self> {
        Ok(Self {
            cursor: row.cursor,
            action: row.action.parse()?,
            data_type: row.data_type,
            data_key: row.data_key,
            entry_status: row.entry_status,
            changed_at: Timestamp::from_micros(row.changed_at),
        })
    }
}

/// What a writer has to say about one change.
#[derive(Debug)]
pub(crate) struct NewChange {
    pub(crate) action: Action,
    pub(crate) data_type: &'static str,
    pub(crate) data_key: String,
    pub(crate) entry_status: &'static str,
}

/// Appends the changes of this transaction. To be called last in it: from here to the commit, other writers wait.
pub(crate) fn append(connection: &mut AnyConnection, changes: Vec<NewChange>, now: Timestamp) -> Result<i64> {
    let count = i64::try_from(changes.len()).unwrap_or(i64::MAX);
    diesel::update(feed_head::table.find(1)).set(feed_head::cursor.eq(feed_head::cursor + count)).execute(connection)?;
    let last = head(connection)?;
    let rows: Vec<Row> = changes
        .into_iter()
        .zip(last - count + 1..)
        .map(|(change, cursor)| Row {
            cursor,
            action: change.action.to_string(),
            data_type: change.data_type.to_owned(),
            data_key: change.data_key,
            entry_status: change.entry_status.to_owned(),
            changed_at: now.as_micros(),
        })
        .collect();
    match connection {
        AnyConnection::Postgres(connection) => diesel::insert_into(feed::table).values(&rows).execute(connection)?,
        AnyConnection::Sqlite(connection) => diesel::insert_into(feed::table).values(&rows).execute(connection)?,
    };
    Ok(last)
}

/// The last cursor that was given out, as of this snapshot.
pub(crate) fn head(connection: &mut AnyConnection) -> Result<i64> {
    Ok(feed_head::table.find(1).select(feed_head::cursor).first(connection)?)
}

/// The changes after a cursor, in order.
pub(crate) fn list(connection: &mut AnyConnection, after: i64, limit: i64) -> Result<Vec<Change>> {
    let rows: Vec<Row> =
        feed::table.filter(feed::cursor.gt(after)).order(feed::cursor).limit(limit).select(Row::as_select()).load(connection)?;
    rows.into_iter().map(Change::try_from).collect()
}
