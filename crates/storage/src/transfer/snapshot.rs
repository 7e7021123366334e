//! Snapshots of all databases of an installation at the same moment, read row by row.
//!
//! # Example
//!
//! A user is created in the directory at 0.1 s, and the password hash in auth at 0.2 s. An export
//! that read the directory at 0.0 s and auth at 0.3 s would have the password of a user that it
//! lacks.
//!
//! 1. [`Snapshot::open_all`] locks the tables of auth and then those of the directory. When it has
//!    all locks, no transaction that changes data is open in either database.
//! 2. It opens a read-only transaction in each. The first query of such a transaction fixes its
//!    snapshot. Because of the locks, nothing changes between the two.
//! 3. It releases the locks, and writers continue.
//! 4. [`Snapshot::for_each_row`] reads table by table, in an order in which each table comes after
//!    those that it refers to, and in the order of the primary key. This can take hours and blocks
//!    no writer.
//!
//! The export has neither row, or only the user, or both. Each of these states existed at some
//! moment, and the services can handle it: a crash between the two steps leaves the same.

use diesel::{
    PgConnection, QueryResult, RunQueryDsl, SqliteConnection,
    connection::{DefaultLoadingMode, SimpleConnection},
    pg::PgRowByRowLoadingMode,
    sql_query,
};
use serde_json::Value;

use super::{
    error::TransferError,
    lock::{self, NO_TIMEOUTS},
    marker::check_complete,
    query::{TextRow, query_texts},
    schema::{self, Column, Kind},
    tables::{Row, ServiceDatabase, Table, Tables},
};
use crate::{
    connection::AnyConnection,
    error::Error,
    transaction::{self, begin},
};

/// A database at one moment.
pub struct Snapshot {
    connection: AnyConnection,
    tables: &'static Tables,
    migrations: Vec<String>,
}

impl Snapshot {
    /// Opens snapshots of several databases at the same moment. Writers wait while they are opened.
    ///
    /// # Errors
    /// [`TransferError::UnlistedTables`], [`Error::ImportIncomplete`]; database errors.
    pub fn open_all<const N: usize>(
        databases: [ServiceDatabase<'_>; N],
    ) -> Result<[Self; N], TransferError> {
        let locks = lock::open_all_beside_writers(&databases)?;
        let opened: Vec<Self> = databases
            .iter()
            .map(|&database| Self::open(database))
            .collect::<Result<_, _>>()?;
        drop(locks);
        opened
            .try_into()
            .map_err(|_| Error::Other("too few snapshots".to_owned()).into())
    }

    fn open(ServiceDatabase { url, tables }: ServiceDatabase<'_>) -> Result<Self, TransferError> {
        let mut connection = AnyConnection::open(url)?;
        begin(&mut connection, transaction::Kind::Snapshot).map_err(Error::from)?;
        if let AnyConnection::Postgres(connection) = &mut connection {
            connection.batch_execute(NO_TIMEOUTS).map_err(Error::from)?;
        }
        // The first query fixes the snapshot, so it must run while the locks are held.
        check_complete(&mut connection)?;
        schema::check_tables(&mut connection, tables)?;
        let migrations = schema::query_migrations(&mut connection)?;
        Ok(Self {
            connection,
            tables,
            migrations,
        })
    }

    /// Returns the tables of the database's service.
    #[must_use]
    pub fn tables(&self) -> &'static Tables {
        self.tables
    }

    /// Returns the migrations of the database. Databases with the same migrations have the same
    /// tables.
    #[must_use]
    pub fn migrations(&self) -> &[String] {
        &self.migrations
    }

    /// Counts the rows of a table.
    ///
    /// # Errors
    /// Database errors.
    pub fn count(&mut self, table: &Table) -> Result<u64, TransferError> {
        let count = format!("SELECT CAST(COUNT(*) AS TEXT) AS text FROM {}", table.name);
        let counted = query_texts(&mut self.connection, &count)?;
        let count = counted.first().and_then(|count| count.parse().ok());
        Ok(count.ok_or_else(|| Error::Other("a count is not a number".to_owned()))?)
    }

    /// Calls `each` with every row of a table, in the order of the primary key. Only one row is in
    /// memory at a time.
    ///
    /// # Errors
    /// Errors of `each`; database errors.
    pub fn for_each_row<E: From<TransferError>>(
        &mut self,
        table: &Table,
        mut each: impl FnMut(Row) -> Result<(), E>,
    ) -> Result<(), E> {
        let columns = schema::query_columns(&mut self.connection, table.name)?;
        let sql = row_query(&self.connection, table, &columns);
        for_each(&mut self.connection, &sql, |text| {
            each(parse(&text, &columns)?)
        })
    }

    /// Calls `each` with every value of a text column that is not null, in the order of the primary
    /// key.
    ///
    /// # Errors
    /// Errors of `each`; database errors.
    pub fn for_each_value<E: From<TransferError>>(
        &mut self,
        table: &Table,
        column: &str,
        each: impl FnMut(String) -> Result<(), E>,
    ) -> Result<(), E> {
        let columns = schema::query_columns(&mut self.connection, table.name)?;
        let order = order_by(&self.connection, &columns);
        let sql = format!(
            "SELECT {column} AS text FROM {} WHERE {column} IS NOT NULL ORDER BY {order}",
            table.name
        );
        for_each(&mut self.connection, &sql, each)
    }
}

/// Runs a query with one column called `text` and calls `each` with every value.
///
/// # Errors
/// Errors of `each`; database errors.
fn for_each<E: From<TransferError>>(
    connection: &mut AnyConnection,
    sql: &str,
    mut each: impl FnMut(String) -> Result<(), E>,
) -> Result<(), E> {
    let mut each = |row: QueryResult<TextRow>| {
        each(
            row.map_err(|error| TransferError::from(Error::from(error)))?
                .text,
        )
    };
    match connection {
        AnyConnection::Postgres(connection) => {
            query_postgres_rows(connection, sql)?.try_for_each(&mut each)
        }
        AnyConnection::Sqlite(connection) => {
            query_sqlite_rows(connection, sql)?.try_for_each(&mut each)
        }
    }
}

fn query_postgres_rows<'a>(
    connection: &'a mut PgConnection,
    sql: &'a str,
) -> Result<impl Iterator<Item = QueryResult<TextRow>> + 'a, TransferError> {
    Ok(sql_query(sql)
        .load_iter::<TextRow, PgRowByRowLoadingMode>(connection)
        .map_err(Error::from)?)
}

fn query_sqlite_rows<'a>(
    connection: &'a mut SqliteConnection,
    sql: &'a str,
) -> Result<impl Iterator<Item = QueryResult<TextRow>> + 'a, TransferError> {
    Ok(sql_query(sql)
        .load_iter::<TextRow, DefaultLoadingMode>(connection)
        .map_err(Error::from)?)
}

/// Returns a query for the rows of a table, each as a JSON array of its columns.
fn row_query(connection: &AnyConnection, table: &Table, columns: &[Column]) -> String {
    let (function, values): (_, Vec<String>) = match connection {
        AnyConnection::Postgres(_) => (
            "json_build_array",
            columns.iter().map(postgres_expression).collect(),
        ),
        AnyConnection::Sqlite(_) => ("json_array", columns.iter().map(Column::quoted).collect()),
    };
    let values = values.join(", ");
    let order = order_by(connection, columns);
    format!(
        "SELECT CAST({function}({values}) AS TEXT) AS text FROM {} ORDER BY {order}",
        table.name
    )
}

/// Returns the ORDER BY of the primary key. The order is the same in both databases: SQLite
/// compares text by bytes, as the collation C does.
fn order_by(connection: &AnyConnection, columns: &[Column]) -> String {
    let ordered = |column: &Column| match (connection, column.kind) {
        (AnyConnection::Postgres(_), Kind::Text) => format!("{} COLLATE \"C\"", column.quoted()),
        (AnyConnection::Postgres(_), Kind::Integer | Kind::Boolean)
        | (AnyConnection::Sqlite(_), _) => column.quoted(),
    };
    schema::primary_key(columns)
        .into_iter()
        .map(ordered)
        .collect::<Vec<_>>()
        .join(", ")
}

/// Returns the expression of a column in PostgreSQL; booleans are integers in exports.
fn postgres_expression(column: &Column) -> String {
    match column.kind {
        Kind::Text | Kind::Integer => column.quoted(),
        Kind::Boolean => format!("{}::integer", column.quoted()),
    }
}

/// Parses a row that the database returned as a JSON array.
fn parse(text: &str, columns: &[Column]) -> Result<Row, TransferError> {
    let values: Vec<Value> = serde_json::from_str(text).map_err(|error| {
        Error::Other(format!("a row of the database is not valid JSON: {error}"))
    })?;
    Ok(columns
        .iter()
        .map(|column| column.name.clone())
        .zip(values)
        .collect())
}
