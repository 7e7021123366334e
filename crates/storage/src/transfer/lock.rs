//! A transaction during which nothing else changes the tables of a service.

use std::time::{Duration, Instant};

use diesel::connection::SimpleConnection;

use super::{ImportDatabase, Table, Tables, TransferError};
use crate::{
    AnyConnection, DatabaseUrl, Error,
    database::{Kind, begin},
};

/// A transaction of an export or import may last as long as it takes.
pub(super) const NO_TIMEOUTS: &str =
    "SET LOCAL statement_timeout = 0; SET LOCAL idle_in_transaction_session_timeout = 0";

/// Maximum time of one attempt to lock all tables while others write. A writer that waits for this transaction looks for a
/// deadlock after `deadlock_timeout` (1 s by default), and would be the one that PostgreSQL cancels. By then the attempt is over,
/// unless the writer had waited for another one before.
const POSTGRES_ATTEMPT: &str = "SET LOCAL statement_timeout = '500ms'";
const SQLITE_ATTEMPT: &str = "PRAGMA busy_timeout = 500";
/// Time for all attempts. A vacuum of a large table can hold them up as well.
const ATTEMPTS: Duration = Duration::from_secs(60);
/// Between two attempts, for the writers that had to wait.
const PAUSE: Duration = Duration::from_millis(50);

/// Opens a transaction in each database while servers may be writing. Writers lock tables in other orders, so that an attempt
/// can wait for a writer that waits for it: it then releases what it has locked in all databases.
pub(super) fn open_all_beside_writers(
    databases: &[ImportDatabase<'_>],
) -> Result<Vec<AnyConnection>, TransferError> {
    let began = Instant::now();
    loop {
        let locked = databases
            .iter()
            .map(|(url, tables)| lock_all(url, tables, true))
            .collect();
        match locked {
            Err(TransferError::Storage(Error::Unavailable(_))) if began.elapsed() < ATTEMPTS => {}
            locked => return locked,
        }
        #[expect(
            clippy::disallowed_methods,
            reason = "only commands export, on a thread for blocking work"
        )]
        std::thread::sleep(PAUSE);
    }
}

/// Opens it. Waits for others for as long as any transaction does. It ends with its connection.
pub(super) fn lock_tables(
    url: &DatabaseUrl,
    tables: &Tables,
) -> Result<AnyConnection, TransferError> {
    lock_all(url, tables, false)
}

fn lock_all(
    url: &DatabaseUrl,
    tables: &Tables,
    is_attempt: bool,
) -> Result<AnyConnection, TransferError> {
    let mut connection = AnyConnection::open(url)?;
    if let AnyConnection::Sqlite(connection) = &mut connection
        && is_attempt
    {
        connection
            .batch_execute(SQLITE_ATTEMPT)
            .map_err(Error::from)?;
    }
    // In SQLite that is the lock.
    begin(&mut connection, Kind::Write).map_err(Error::from)?;
    if let AnyConnection::Postgres(connection) = &mut connection {
        if is_attempt {
            connection
                .batch_execute(POSTGRES_ATTEMPT)
                .map_err(Error::from)?;
        }
        let tables = join_names(tables.tables.iter());
        connection
            .batch_execute(&format!("LOCK TABLE {tables} IN EXCLUSIVE MODE"))
            .map_err(Error::from)?;
        connection.batch_execute(NO_TIMEOUTS).map_err(Error::from)?;
    }
    Ok(connection)
}

/// The names of tables, for SQL.
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
    use crate::{testing::create_postgres_database, transfer::schema::query_texts};

    static TABLES: Tables = Tables {
        database: "test",
        tables: &[
            Table::new("first"),
            Table::new("second"),
            Table::new("third"),
        ],
    };
    /// Longer than an attempt, and shorter than `deadlock_timeout`.
    const MEANWHILE: Duration = Duration::from_millis(800);

    /// The lock waits for `second`, and the writer for `first`, which the lock has. When `second` is free, the lock waits for
    /// `third`, which the writer has. The writer has waited longer, so PostgreSQL would cancel it.
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
            let locking = scope.spawn(|| open_all_beside_writers(&[(&url, &TABLES)]).map(drop));
            let locked =
                "SELECT mode AS text FROM pg_locks WHERE relation = 'first'::regclass AND granted";
            let mut watcher = open("SELECT 1");
            while query_texts(&mut watcher, locked).unwrap().is_empty() {
                assert!(!locking.is_finished(), "it has ended without waiting");
                thread::yield_now();
            }
            let writing =
                scope.spawn(|| writer.batch_execute("INSERT INTO first VALUES (1); COMMIT"));
            #[expect(clippy::disallowed_methods, reason = "no runtime here")]
            thread::sleep(MEANWHILE);
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
