//! Export and import of whole databases, for any tables: a service declares its tables
//! ([`Tables`]), and their columns are read from the database itself.
//!
//! An export reads [`Snapshot`]s, which show all databases of an installation at the same moment.
//! An [`Import`] fills empty databases. Each database has the table `import_state`, which says
//! `loading` from the start of an import to its end. So every process that opens the database after
//! an interrupted import detects it ([`check_complete`]), and the import can be repeated.

mod error;
mod import;
pub(crate) mod import_target;
mod lock;
mod marker;
mod schema;
mod snapshot;

pub use error::TransferError;
pub use import::{Import, ImportDatabase};
pub use marker::check_complete;
pub use schema::check_tables;
#[cfg(feature = "testing")]
pub use schema::list_columns;
pub use snapshot::Snapshot;

/// A row: a value for each column, which is text, an integer or null.
pub type Row = serde_json::Map<String, serde_json::Value>;

/// The tables of a service.
#[derive(Debug)]
pub struct Tables {
    /// Name of the service's database.
    pub database: &'static str,
    /// All tables, each after the tables that its foreign keys refer to.
    pub tables: &'static [Table],
}

/// A table of a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Table {
    pub name: &'static str,
    /// Whether the table always has one row, which the migrations insert.
    is_seeded: bool,
}

impl Table {
    /// Returns a table that is empty after the migrations.
    #[must_use]
    pub const fn new(name: &'static str) -> Self {
        Self {
            name,
            is_seeded: false,
        }
    }

    /// Returns a table that always has one row, which the migrations insert.
    #[must_use]
    pub const fn seeded(name: &'static str) -> Self {
        Self {
            name,
            is_seeded: true,
        }
    }
}

impl Tables {
    /// Returns the name of a table in an export, such as `auth.credentials`.
    #[must_use]
    pub fn full_name(&self, table: &Table) -> String {
        format!("{}.{}", self.database, table.name)
    }

    /// Finds a table by its name in an export.
    fn find(&self, full_name: &str) -> Option<&'static Table> {
        let name = full_name.strip_prefix(self.database)?.strip_prefix('.')?;
        self.tables.iter().find(|table| table.name == name)
    }
}
