//! Errors of export and import.

use crate::error::Error;

/// Why an export or an import failed.
#[derive(Debug, thiserror::Error)]
pub enum TransferError {
    #[error(transparent)]
    Storage(#[from] Error),
    #[error("the database and the list of exported tables differ: {0}")]
    UnlistedTables(String),
    #[error("column {column} of table {table} has the type {kind}, which can't be exported")]
    UnknownType {
        table: String,
        column: String,
        kind: String,
    },
    #[error("table {0} has no primary key, so it can't be exported")]
    NoPrimaryKey(&'static str),
    #[error("the {database} database is not empty (table {table}); an import needs new databases")]
    NotEmpty {
        database: &'static str,
        table: &'static str,
    },
    #[error("the {database} database was imported already; an import needs new databases")]
    AlreadyImported { database: &'static str },
    #[error("something else has changed the {database} database during the import; import again")]
    ChangedMeanwhile { database: &'static str },
    #[error("unknown table {0}")]
    UnknownTable(String),
    #[error("unknown column {column} of table {table}")]
    UnknownColumn { table: String, column: String },
    #[error("column {column} of table {table} is missing")]
    MissingColumn { table: String, column: String },
    #[error("column {column} of table {table} has a value of the wrong type")]
    WrongType { table: String, column: String },
    #[error("table {0} must have exactly one row")]
    RowCountNotOne(String),
    #[error("the database refused rows of table {table}")]
    Insert { table: String, source: Error },
}
