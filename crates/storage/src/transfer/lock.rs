//! A transaction during which nothing else changes the tables of a service.

use diesel::connection::SimpleConnection;

use super::{Table, Tables, TransferError};
use crate::{
    AnyConnection, DatabaseUrl, Error,
    database::{Kind, begin},
};

/// A transaction of an export or import may last as long as it takes.
pub(super) const NO_TIMEOUTS: &str =
    "SET LOCAL statement_timeout = 0; SET LOCAL idle_in_transaction_session_timeout = 0";

/// Attempts to lock all tables while others write.
const ATTEMPTS: u32 = 10;

/// Opens it while a server may be writing. Writers lock tables in other orders, so PostgreSQL may end an attempt as a deadlock.
pub(super) fn open_beside_writers(url: &DatabaseUrl, tables: &Tables) -> Result<AnyConnection, TransferError> {
    let mut attempt = 1;
    loop {
        match open(url, tables) {
            Err(TransferError::Storage(Error::Unavailable(_))) if attempt < ATTEMPTS => attempt += 1,
            opened => return opened,
        }
    }
}

/// Opens it. Waits for others for as long as any transaction does. It ends with its connection.
pub(super) fn open(url: &DatabaseUrl, tables: &Tables) -> Result<AnyConnection, TransferError> {
    let mut connection = AnyConnection::open(url)?;
    // In SQLite that is the lock.
    begin(&mut connection, Kind::Write).map_err(Error::from)?;
    if let AnyConnection::Postgres(connection) = &mut connection {
        let locked = connection
            .batch_execute(&format!("LOCK TABLE {} IN EXCLUSIVE MODE; {NO_TIMEOUTS}", list(tables.tables.iter())));
        locked.map_err(Error::from)?;
    }
    Ok(connection)
}

/// The names of tables, for SQL.
pub(super) fn list<'a>(tables: impl Iterator<Item = &'a Table>) -> String {
    tables.map(|table| table.name).collect::<Vec<_>>().join(", ")
}
