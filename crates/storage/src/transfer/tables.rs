//! Declaration of the tables of a service, for exports and imports.

use crate::url::DatabaseUrl;

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
    pub(super) is_seeded: bool,
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
    pub(super) fn find(&self, full_name: &str) -> Option<&'static Table> {
        let name = full_name.strip_prefix(self.database)?.strip_prefix('.')?;
        self.tables.iter().find(|table| table.name == name)
    }
}

/// A database and the tables of its service.
#[derive(Debug, Clone, Copy)]
pub struct ServiceDatabase<'a> {
    pub url: &'a DatabaseUrl,
    pub tables: &'static Tables,
}
