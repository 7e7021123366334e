//! Transactions on one connection: how they begin, end, and are rolled back after a failure.

use diesel::connection::{AnsiTransactionManager, SimpleConnection, TransactionManager};

use crate::{connection::AnyConnection, error::Error, pool::Manager};

/// Kind of a transaction.
#[derive(Clone, Copy)]
pub(crate) enum Kind {
    /// All reads see the same snapshot.
    Snapshot,
    Write,
    /// A write whose commit does not wait for the disk.
    WriteWithoutFsync,
}

/// A connection with an open transaction.
pub(crate) struct OpenTransaction {
    kind: Kind,
    /// The connection, which counts as broken until the transaction has ended.
    pooled: r2d2::PooledConnection<Manager>,
}

/// The result of the work of a transaction, and the connection, on which no transaction is open or
/// which counts as broken.
pub(crate) struct EndedTransaction<T, E> {
    pub(crate) result: Result<T, E>,
    pub(crate) pooled: r2d2::PooledConnection<Manager>,
}

impl OpenTransaction {
    /// Begins a transaction on a connection of the pool.
    pub(crate) fn begin(
        mut pooled: r2d2::PooledConnection<Manager>,
        kind: Kind,
    ) -> Result<Self, Error> {
        begin(&mut pooled.connection, kind)?;
        Ok(Self { kind, pooled })
    }

    /// Runs work and commits, or rolls back if the work or the commit fails.
    pub(crate) fn finish<T, E: From<Error>>(
        mut self,
        work: impl FnOnce(&mut AnyConnection) -> Result<T, E>,
    ) -> EndedTransaction<T, E> {
        let connection = &mut self.pooled.connection;
        let (result, is_ended) = match work(connection) {
            Ok(value) => match commit(connection) {
                Ok(()) => (Ok(value), true),
                Err(error) => (Err(E::from(error.into())), rollback_if_open(connection)),
            },
            Err(error) => (Err(error), rollback_if_open(connection)),
        };
        self.pooled.is_broken = !is_ended || restore_fsync(connection, self.kind).is_err();
        EndedTransaction {
            result,
            pooled: self.pooled,
        }
    }
}

/// Begins a transaction.
pub(crate) fn begin(connection: &mut AnyConnection, kind: Kind) -> diesel::QueryResult<()> {
    match (connection, kind) {
        (AnyConnection::Postgres(connection), Kind::Snapshot) => {
            AnsiTransactionManager::begin_transaction_sql(
                connection,
                "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
            )
        }
        (AnyConnection::Postgres(connection), Kind::Write) => {
            AnsiTransactionManager::begin_transaction_sql(connection, "BEGIN")
        }
        (AnyConnection::Sqlite(connection), Kind::Snapshot) => {
            AnsiTransactionManager::begin_transaction_sql(connection, "BEGIN")
        }
        (AnyConnection::Postgres(connection), Kind::WriteWithoutFsync) => {
            // Two statements, one round trip.
            AnsiTransactionManager::begin_transaction_sql(
                connection,
                "BEGIN; SET LOCAL synchronous_commit = off",
            )
        }
        (AnyConnection::Sqlite(connection), Kind::WriteWithoutFsync) => {
            // This cannot be set within a transaction.
            connection.batch_execute("PRAGMA synchronous = NORMAL")?;
            AnsiTransactionManager::begin_transaction_sql(connection, "BEGIN IMMEDIATE")
        }
        // A plain BEGIN takes the write lock at the first write. If the transaction has read
        // before, and another one has written since, SQLite fails there immediately instead of
        // waiting.
        (AnyConnection::Sqlite(connection), Kind::Write) => {
            AnsiTransactionManager::begin_transaction_sql(connection, "BEGIN IMMEDIATE")
        }
    }
}

pub(crate) fn commit(connection: &mut AnyConnection) -> diesel::QueryResult<()> {
    <AnyConnection as diesel::Connection>::TransactionManager::commit_transaction(connection)
}

fn rollback(connection: &mut AnyConnection) -> diesel::QueryResult<()> {
    <AnyConnection as diesel::Connection>::TransactionManager::rollback_transaction(connection)
}

/// Rolls back a transaction that diesel, after a failed commit, or SQLite, on a full disk, may have
/// rolled back already. Returns whether no transaction is open. A connection is kept if possible,
/// because on a full disk SQLite may be unable to open another one.
fn rollback_if_open(connection: &mut AnyConnection) -> bool {
    match (rollback(connection), connection) {
        (Ok(()) | Err(diesel::result::Error::NotInTransaction), _) => true,
        (Err(_), AnyConnection::Sqlite(connection)) => {
            connection.batch_execute("BEGIN; ROLLBACK").is_ok()
        }
        (Err(_), AnyConnection::Postgres(_)) => false,
    }
}

/// Undoes the setting of [`Kind::WriteWithoutFsync`] after the transaction. In PostgreSQL, it ends
/// with the transaction.
fn restore_fsync(connection: &mut AnyConnection, kind: Kind) -> diesel::QueryResult<()> {
    match (connection, kind) {
        (AnyConnection::Sqlite(connection), Kind::WriteWithoutFsync) => {
            connection.batch_execute("PRAGMA synchronous = FULL")
        }
        (AnyConnection::Sqlite(_), Kind::Snapshot | Kind::Write)
        | (AnyConnection::Postgres(_), _) => Ok(()),
    }
}

/// Runs work in a write transaction on a connection outside the pool, such as that of migrations.
pub(crate) fn write_transaction<T>(
    connection: &mut AnyConnection,
    work: impl FnOnce(&mut AnyConnection) -> Result<T, Error>,
) -> Result<T, Error> {
    begin(connection, Kind::Write)?;
    match work(connection) {
        Ok(value) => {
            commit(connection)?;
            Ok(value)
        }
        Err(error) => {
            rollback(connection)?;
            Err(error)
        }
    }
}
