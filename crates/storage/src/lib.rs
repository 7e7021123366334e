//! Access to SQLite and PostgreSQL: one connection type, a bounded pool outside the async threads,
//! snapshots and transactions, migrations, error classification, export and import. It knows no
//! table; tables belong to the services.

mod compatibility;
mod connection;
mod database;
mod error;
mod migrate;
mod notify;
mod pool;
#[cfg(feature = "testing")]
pub mod testing;
mod transaction;
pub mod transfer;
mod url;
mod write_check;

// These crates compile the C libraries that diesel links.
use libsqlite3_sys as _;
use pq_sys as _;

pub use connection::{AnyConnection, MultiBackend};
pub use database::{Database, DatabaseOptions};
pub use error::{Error, Result};
pub use migrate::{
    DataMigration, IncompleteImport, MigrationSet, Migrations, check, migrate, prepare,
};
pub use notify::listen;
pub use url::DatabaseUrl;
