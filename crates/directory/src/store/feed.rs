//! The change feed. Cursors become visible in their order and without gaps: whoever appends first takes the lock on the
//! one row of `feed_head`, and holds it until the commit.

use diesel::prelude::*;
use doorward_domain::{Clock, Timestamp};
use doorward_storage::{AnyConnection, Error, Result};

use super::schema::{feed, feed_head};
use crate::model::{Action, Change};

/// Of one INSERT: PostgreSQL takes 65,535 values in all.
const MAX_ROWS: usize = 1000;

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

/// Makes other writers wait until the commit: for rules that look before they write.
pub(crate) fn lock(connection: &mut AnyConnection) -> Result<()> {
    diesel::update(feed_head::table.find(1)).set(feed_head::cursor.eq(feed_head::cursor)).execute(connection)?;
    Ok(())
}

/// Appends the changes of this transaction. To be called last in it: from here to the commit, other writers wait. The
/// changes are dated when that wait is over, so that what happened before the commit is hardly ever dated after them.
pub(crate) fn append(connection: &mut AnyConnection, changes: Vec<NewChange>, clock: &dyn Clock) -> Result<i64> {
    if changes.is_empty() {
        return head(connection);
    }
    let count = i64::try_from(changes.len()).unwrap_or(i64::MAX);
    diesel::update(feed_head::table.find(1))
        .set(feed_head::cursor.eq(feed_head::cursor + count))
        .execute(connection)?;
    let now = clock.now();
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
    for rows in rows.chunks(MAX_ROWS) {
        match connection {
            AnyConnection::Postgres(connection) => diesel::insert_into(feed::table).values(rows).execute(connection)?,
            AnyConnection::Sqlite(connection) => diesel::insert_into(feed::table).values(rows).execute(connection)?,
        };
    }
    Ok(last)
}

/// The last cursor that was given out, as of this snapshot.
pub(crate) fn head(connection: &mut AnyConnection) -> Result<i64> {
    Ok(feed_head::table.find(1).select(feed_head::cursor).get_result(connection)?)
}

/// The changes after a cursor, in order.
pub(crate) fn list(connection: &mut AnyConnection, after: i64, limit: i64) -> Result<Vec<Change>> {
    let rows: Vec<Row> = feed::table
        .filter(feed::cursor.gt(after))
        .order(feed::cursor)
        .limit(limit)
        .select(Row::as_select())
        .load(connection)?;
    rows.into_iter().map(Change::try_from).collect()
}

#[cfg(test)]
mod tests {
    use std::{
        sync::Arc,
        sync::atomic::{AtomicBool, Ordering},
        time::Duration,
    };

    use doorward_domain::SystemClock;
    use doorward_storage::{Database, testing::TestDatabase};

    use super::*;
    use crate::MIGRATIONS;

    const WRITERS: usize = 8;
    const ROUNDS: usize = 125;

    /// Appends one to three rows, and is slow to commit now and then; every seventh writer changes its mind.
    async fn write(database: &Database, writer: usize, round: usize) -> usize {
        let count = 1 + (writer + round) % 3;
        let gives_up = (writer * ROUNDS + round).is_multiple_of(7);
        let done = database
            .write(move |connection| {
                let change = |number| NewChange {
                    action: Action::Insert,
                    data_type: "cc.users",
                    data_key: format!("{writer}/{round}/{number}"),
                    entry_status: "active",
                };
                append(connection, (0..count).map(change).collect(), &SystemClock)?;
                if (writer + round).is_multiple_of(5) {
                    #[expect(
                        clippy::disallowed_methods,
                        reason = "a writer that is slow to commit, on a thread that may block"
                    )]
                    std::thread::sleep(Duration::from_millis(2));
                }
                if gives_up { Err(Error::Other("changed its mind".to_owned())) } else { Ok(()) }
            })
            .await;
        assert_eq!(done.is_err(), gives_up);
        if gives_up { 0 } else { count }
    }

    /// Reads on from where it is, as followers do, and notes what it saw.
    async fn tail(database: Database, writers_are_done: Arc<AtomicBool>) -> Vec<Change> {
        let mut seen: Vec<Change> = Vec::new();
        loop {
            let was_last_look = writers_are_done.load(Ordering::SeqCst);
            let after = seen.last().map_or(0, |change| change.cursor);
            let (mut news, head) = database
                .read(move |connection| Ok::<_, Error>((list(connection, after, 1000)?, head(connection)?)))
                .await
                .unwrap();
            assert_eq!(
                news.last().map_or(after, |change| change.cursor),
                head,
                "the head is the last row of the same snapshot"
            );
            if news.is_empty() && was_last_look {
                return seen;
            }
            seen.append(&mut news);
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_reader_that_follows_concurrent_writers_misses_nothing_and_sees_no_gap() {
        for test in TestDatabase::both(&MIGRATIONS) {
            let database = test.database.clone();
            let writers_are_done = Arc::new(AtomicBool::new(false));
            let reader = tokio::spawn(tail(database.clone(), writers_are_done.clone()));
            let writers: Vec<_> = (0..WRITERS)
                .map(|writer| {
                    let database = database.clone();
                    tokio::spawn(async move {
                        let mut written = 0;
                        for round in 0..ROUNDS {
                            written += write(&database, writer, round).await;
                        }
                        written
                    })
                })
                .collect();
            let mut written = 0;
            for writer in writers {
                written += writer.await.unwrap();
            }
            writers_are_done.store(true, Ordering::SeqCst);
            let seen = reader.await.unwrap();
            let cursors: Vec<i64> = seen.iter().map(|change| change.cursor).collect();
            assert_eq!(cursors, (1..=i64::try_from(written).unwrap()).collect::<Vec<_>>());
            let keys: std::collections::HashSet<_> = seen.iter().map(|change| change.data_key.as_str()).collect();
            assert_eq!(keys.len(), written);
        }
    }
}
