//! The tables and columns of a database, as the database itself reports them.

use std::collections::BTreeSet;

use diesel::{
    QueryableByName, RunQueryDsl,
    sql_types::{Bool, Integer, Text},
};

use super::{error::TransferError, marker, query::query_texts, tables::Tables};
use crate::{connection::AnyConnection, error::Error};

/// Tables that are not exported, in the databases of all services.
const OWN_TABLES: [&str; 2] = ["__diesel_schema_migrations", marker::TABLE];

/// Type of a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Text,
    Integer,
    /// A boolean in PostgreSQL; the integer 0 or 1 in SQLite and in exports.
    Boolean,
}

/// A column of a table.
#[derive(Debug)]
pub(super) struct Column {
    pub(super) name: String,
    pub(super) kind: Kind,
    pub(super) is_nullable: bool,
    /// Position in the primary key, starting at 1; 0 if the column is not part of it.
    key_position: i32,
    /// Whether PostgreSQL generates its values.
    pub(super) is_identity: bool,
}

impl Column {
    pub(super) fn quoted(&self) -> String {
        format!("\"{}\"", self.name)
    }
}

/// Checks that a database has exactly the tables that its service lists, and that all columns can
/// be exported. This fails if a migration adds a table that the export would miss.
///
/// # Errors
/// [`TransferError::UnlistedTables`], [`TransferError::UnknownType`],
/// [`TransferError::NoPrimaryKey`]; database errors.
pub fn check_tables(connection: &mut AnyConnection, tables: &Tables) -> Result<(), TransferError> {
    let all = match connection {
        AnyConnection::Postgres(_) => {
            "SELECT tablename::text AS text FROM pg_tables WHERE schemaname = current_schema()"
        }
        AnyConnection::Sqlite(_) => {
            "SELECT name AS text FROM sqlite_master WHERE type = 'table' AND substr(name, 1, 7) <> 'sqlite_'"
        }
    };
    let found: BTreeSet<String> = query_texts(connection, all)?.into_iter().collect();
    let listed: BTreeSet<String> = tables
        .tables
        .iter()
        .map(|table| table.name)
        .chain(OWN_TABLES)
        .map(str::to_owned)
        .collect();
    let differing: Vec<String> = found.symmetric_difference(&listed).cloned().collect();
    if !differing.is_empty() {
        return Err(TransferError::UnlistedTables(differing.join(", ")));
    }
    for table in tables.tables {
        if primary_key(&query_columns(connection, table.name)?).is_empty() {
            return Err(TransferError::NoPrimaryKey(table.name));
        }
    }
    Ok(())
}

/// Lists the columns of all tables, as pairs of table and column.
///
/// # Errors
/// [`TransferError::UnknownType`]; database errors.
#[cfg(feature = "testing")]
pub fn list_columns(
    connection: &mut AnyConnection,
    tables: &Tables,
) -> Result<Vec<(String, String)>, TransferError> {
    let mut all = Vec::new();
    for table in tables.tables {
        all.extend(
            query_columns(connection, table.name)?
                .into_iter()
                .map(|column| (table.name.to_owned(), column.name)),
        );
    }
    Ok(all)
}

/// Lists the migrations of a database in order.
pub(super) fn query_migrations(connection: &mut AnyConnection) -> Result<Vec<String>, Error> {
    let mut versions = query_texts(
        connection,
        "SELECT version AS text FROM __diesel_schema_migrations",
    )?;
    versions.sort_unstable();
    Ok(versions)
}

/// Lists the columns of a table in the order of their names, which is the same in both databases.
pub(super) fn query_columns(
    connection: &mut AnyConnection,
    table: &str,
) -> Result<Vec<Column>, TransferError> {
    #[derive(QueryableByName)]
    struct Row {
        #[diesel(sql_type = Text)]
        name: String,
        #[diesel(sql_type = Text)]
        kind: String,
        #[diesel(sql_type = Bool)]
        is_nullable: bool,
        #[diesel(sql_type = Integer)]
        key_position: i32,
        #[diesel(sql_type = Bool)]
        is_identity: bool,
    }
    let rows: Vec<Row> = match connection {
        // Positions in an int2vector start at 0.
        AnyConnection::Postgres(connection) => diesel::sql_query(format!(
            "SELECT attname::text AS name, format_type(atttypid, NULL) AS kind, NOT attnotnull AS is_nullable, \
             COALESCE(array_position(indkey::int2[], attnum), -1) + 1 AS key_position, attidentity <> '' AS is_identity \
             FROM pg_attribute LEFT JOIN pg_index ON indrelid = attrelid AND indisprimary \
             WHERE attrelid = '{table}'::regclass AND attnum > 0 AND NOT attisdropped"
        ))
        .load(connection),
        AnyConnection::Sqlite(connection) => diesel::sql_query(format!(
            "SELECT name, lower(type) AS kind, \"notnull\" = 0 AS is_nullable, pk AS key_position, 0 AS is_identity \
             FROM pragma_table_info('{table}')"
        ))
        .load(connection),
    }
    .map_err(Error::from)?;
    let parse = |row: Row| match parse_kind(&row.kind) {
        Some(kind) => Ok(Column {
            name: row.name,
            kind,
            is_nullable: row.is_nullable,
            key_position: row.key_position,
            is_identity: row.is_identity,
        }),
        None => Err(TransferError::UnknownType {
            table: table.to_owned(),
            column: row.name,
            kind: row.kind,
        }),
    };
    let mut columns = rows.into_iter().map(parse).collect::<Result<Vec<_>, _>>()?;
    columns.sort_unstable_by(|a, b| a.name.cmp(&b.name));
    Ok(columns)
}

fn parse_kind(name: &str) -> Option<Kind> {
    match name {
        "text" => Some(Kind::Text),
        "bigint" | "integer" => Some(Kind::Integer),
        "boolean" => Some(Kind::Boolean),
        _ => None,
    }
}

/// Returns the columns of the primary key in its order.
pub(super) fn primary_key(columns: &[Column]) -> Vec<&Column> {
    let mut key: Vec<&Column> = columns
        .iter()
        .filter(|column| column.key_position > 0)
        .collect();
    key.sort_unstable_by_key(|column| column.key_position);
    key
}
