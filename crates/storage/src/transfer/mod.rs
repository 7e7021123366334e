//! Export and import of whole databases, for any tables: a service declares its tables
//! ([`Tables`]), and their columns are read from the database itself.
//!
//! An export reads [`Snapshot`]s, which show all databases of an installation at the same moment.
//! An [`Import`] fills empty databases. Each database has the table `import_state`, which says
//! `loading` from the start of an import to its end. So every process that opens the database after
//! an interrupted import detects it ([`check_complete`]), and the import can be repeated.

mod error;
mod import;
mod import_target;
mod lock;
pub(crate) mod marker;
mod query;
mod schema;
mod snapshot;
mod tables;

pub use error::TransferError;
pub use import::Import;
pub use marker::check_complete;
pub use schema::check_tables;
#[cfg(feature = "testing")]
pub use schema::list_columns;
pub use snapshot::Snapshot;
pub use tables::{Row, ServiceDatabase, Table, Tables};
