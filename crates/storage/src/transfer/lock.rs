//! Locks on all tables of a service: while its transaction is open, nothing else changes them.
//! Reads continue.
//!
//! # Example
//!
//! An export locks the tables `first`, `second` and `third` one after another. A writer has
//! inserted into `third`, and another transaction has inserted into `second`.
//!
//! 1. At 0 s, the export has locked `first` and waits for `second`.
//! 2. At 0.1 s, the writer inserts into `first` and so waits for the export.
//! 3. At 0.5 s, the attempt of the export ends by its timeout. The export releases its locks in all
//!    databases, and the writer commits.
//! 4. After a pause of 50 ms, the export tries again, for at most 60 s.
//!
//! Without the timeout, the other transaction could commit at 0.8 s. The export would get `second`
//! and wait for `third`, which is a deadlock. PostgreSQL would detect it at 1.1 s, when the writer
//! has waited for 1 s (`deadlock_timeout`), and cancel the writer: the call of a user would fail
//! because of an export.
//!
//! In SQLite, a write transaction locks the whole database, so there are no deadlocks.

use std::time::{Duration, Instant};

use diesel::connection::SimpleConnection;

use super::{
    error::TransferError,
    tables::{ServiceDatabase, Table},
};
use crate::{
    connection::AnyConnection,
    error::Error,
    transaction::{Kind, begin},
};

/// Removes the timeouts of a transaction, for exports and imports of any size.
pub(super) const NO_TIMEOUTS: &str =
    "SET LOCAL statement_timeout = 0; SET LOCAL idle_in_transaction_session_timeout = 0";

/// Maximum time of one attempt to lock all tables while servers write. It must be below
/// PostgreSQL's `deadlock_timeout` (1 s by default); see the example above. A writer that has
/// waited for something else before can still be cancelled.
const POSTGRES_ATTEMPT: &str = "SET LOCAL statement_timeout = '500ms'";
const SQLITE_ATTEMPT: &str = "PRAGMA busy_timeout = 500";
/// Maximum time of all attempts. A vacuum of a large table can delay them as well.
const ATTEMPTS: Duration = Duration::from_secs(60);
/// Pause between attempts, in which waiting writers continue.
const PAUSE: Duration = Duration::from_millis(50);

/// Locks the tables of all databases while servers may be writing. Writers lock tables in other
/// orders, so an attempt can deadlock with a writer. It then releases its locks in all databases
/// and tries again.
pub(super) fn open_all_beside_writers(
    databases: &[ServiceDatabase<'_>],
) -> Result<Vec<AnyConnection>, TransferError> {
    let start = Instant::now();
    loop {
        let locked = databases
            .iter()
            .map(|&database| lock_all(database, true))
            .collect();
        match locked {
            Err(TransferError::Storage(Error::Unavailable(_))) if start.elapsed() < ATTEMPTS => {}
            locked => return locked,
        }
        #[expect(
            clippy::disallowed_methods,
            reason = "only commands export, on a thread for blocking work"
        )]
        std::thread::sleep(PAUSE);
    }
}

/// Locks the tables of one database, with the same timeouts as any transaction. The locks are
/// released when the connection is dropped or its transaction ends.
pub(super) fn lock_tables(database: ServiceDatabase<'_>) -> Result<AnyConnection, TransferError> {
    lock_all(database, false)
}

/// Begins a write transaction and locks the tables.
fn lock_all(
    database: ServiceDatabase<'_>,
    is_attempt: bool,
) -> Result<AnyConnection, TransferError> {
    let mut connection = AnyConnection::open(database.url)?;
    if let AnyConnection::Sqlite(connection) = &mut connection
        && is_attempt
    {
        connection
            .batch_execute(SQLITE_ATTEMPT)
            .map_err(Error::from)?;
    }
    // In SQLite, this already locks the database.
    begin(&mut connection, Kind::Write).map_err(Error::from)?;
    if let AnyConnection::Postgres(connection) = &mut connection {
        if is_attempt {
            connection
                .batch_execute(POSTGRES_ATTEMPT)
                .map_err(Error::from)?;
        }
        let tables = join_names(database.tables.tables.iter());
        connection
            .batch_execute(&format!("LOCK TABLE {tables} IN EXCLUSIVE MODE"))
            .map_err(Error::from)?;
        connection.batch_execute(NO_TIMEOUTS).map_err(Error::from)?;
    }
    Ok(connection)
}

/// Joins the names of tables for SQL.
pub(super) fn join_names<'a>(tables: impl Iterator<Item = &'a Table>) -> String {
    tables
        .map(|table| table.name)
        .collect::<Vec<_>>()
        .join(", ")
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;
    use crate::{
        testing::create_postgres_database,
        transfer::{query::query_texts, tables::Tables},
    };

    static TABLES: Tables = Tables {
        database: "test",
        tables: &[
            Table::new("first"),
            Table::new("second"),
            Table::new("third"),
        ],
    };
    /// Longer than an attempt and shorter than `deadlock_timeout`.
    const WRITER_WAIT: Duration = Duration::from_millis(800);

    /// The lock waits for `second`, and the writer waits for `first`, which the lock has. When
    /// `second` is free, the lock would wait for `third`, which the writer has. The writer has
    /// waited longer, so PostgreSQL would cancel it.
    #[test]
    fn a_writer_is_not_cancelled_for_a_deadlock() {
        let (server, url, name) = create_postgres_database();
        let open = |sql: &str| {
            let mut connection = AnyConnection::open(&url).unwrap();
            connection.batch_execute(sql).unwrap();
            connection
        };
        drop(open(
            "CREATE TABLE first (n INT); CREATE TABLE second (n INT); CREATE TABLE third (n INT)",
        ));
        let mut writer = open("BEGIN; INSERT INTO third VALUES (1)");
        let mut other = open("BEGIN; INSERT INTO second VALUES (1)");
        thread::scope(|scope| {
            let locking = scope.spawn(|| {
                open_all_beside_writers(&[ServiceDatabase {
                    url: &url,
                    tables: &TABLES,
                }])
                .map(drop)
            });
            let locked =
                "SELECT mode AS text FROM pg_locks WHERE relation = 'first'::regclass AND granted";
            let mut watcher = open("SELECT 1");
            while query_texts(&mut watcher, locked).unwrap().is_empty() {
                assert!(!locking.is_finished(), "the lock did not wait for `second`");
                thread::yield_now();
            }
            let writing =
                scope.spawn(|| writer.batch_execute("INSERT INTO first VALUES (1); COMMIT"));
            #[expect(clippy::disallowed_methods, reason = "no runtime here")]
            thread::sleep(WRITER_WAIT);
            other.batch_execute("COMMIT").unwrap();
            writing.join().unwrap().unwrap();
            locking.join().unwrap().unwrap();
        });
        drop((writer, other));
        AnyConnection::open(&server)
            .unwrap()
            .batch_execute(&format!("DROP DATABASE {name} WITH (FORCE)"))
            .unwrap();
    }
}
