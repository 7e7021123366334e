//! Database plumbing: one connection type for SQLite and PostgreSQL, a bounded pool off the async threads, snapshots and
//! transactions, migrations, and what errors mean. It knows no table; those belong to the services.

mod compatibility;
mod connection;
mod database;
mod error;
mod migrate;
mod notify;
mod pool;
#[cfg(feature = "testing")]
pub mod testing;
pub mod transfer;
mod url;
mod write_check;

// Linked for the C libraries that they compile in.
use libsqlite3_sys as _;
use pq_sys as _;

pub use crate::notify::listen;
pub use connection::{AnyConnection, MultiBackend};
pub use database::{Database, Options};
pub use error::{Error, Result};
pub use migrate::{MigrationSet, Migrations, Step, check, migrate, prepare};
pub use url::DatabaseUrl;
