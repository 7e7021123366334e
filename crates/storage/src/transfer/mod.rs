//! Export and import of whole databases, for any tables: a service declares which tables it has ([`Tables`]), and the
//! columns are read from the database itself.
//!
//! An export reads [`Snapshot`]s, which show all databases of an installation at one moment. An [`Import`] fills empty
//! databases. Each has the table `import_state`, which is 'loading' from the begin of an import to its end, so an
//! interrupted import is seen by everything that opens the database later ([`check_complete`]), and can be repeated.

mod error;
mod import;
pub(crate) mod import_target;
mod lock;
mod marker;
mod schema;
mod snapshot;

pub use error::TransferError;
pub use import::{Import, ImportDatabase};
pub use marker::{check_complete, check_complete_at};
pub use schema::check_tables;
#[cfg(feature = "testing")]
pub use schema::list_columns;
pub use snapshot::Snapshot;

/// A row by column: text, integers and null.
pub type Row = serde_json::Map<String, serde_json::Value>;

/// The tables of a service.
#[derive(Debug)]
pub struct Tables {
    /// The name of the service's database.
    pub database: &'static str,
    /// All of them, each after those that its foreign keys refer to.
    pub tables: &'static [Table],
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Table {
    pub name: &'static str,
    /// Whether it has one row always, which the migrations insert.
    is_seeded: bool,
}

impl Table {
    #[must_use]
    pub const fn new(name: &'static str) -> Self {
        Self {
            name,
            is_seeded: false,
        }
    }

    /// A table that has one row always, which the migrations insert.
    #[must_use]
    pub const fn seeded(name: &'static str) -> Self {
        Self {
            name,
            is_seeded: true,
        }
    }
}

impl Tables {
    /// The name of a table in an export, such as `auth.credentials`.
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
