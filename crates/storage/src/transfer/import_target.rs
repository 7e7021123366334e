//! A database that an import fills, in one transaction that locks all tables of its service.

use diesel::{RunQueryDsl, connection::SimpleConnection, sql_types::Text};
use serde_json::Value;

use super::{
    error::TransferError,
    lock,
    marker::{self, ImportState},
    query::query_texts,
    schema::{self, Column, Kind},
    tables::{Row, ServiceDatabase, Table, Tables},
};
use crate::{connection::AnyConnection, error::Error, transaction::commit};

/// Maximum number of rows in one INSERT.
const MAX_ROWS: usize = 500;
/// Size of the values at which an INSERT is executed, even with fewer rows.
const MAX_BYTES: usize = 1024 * 1024;

/// A database with an open import transaction.
pub(super) struct ImportTarget {
    connection: AnyConnection,
    pub(super) tables: &'static Tables,
    /// Rows that are not inserted yet.
    batch: Option<Batch>,
}

/// Rows of one table for one INSERT.
struct Batch {
    table: &'static Table,
    columns: Vec<Column>,
    /// The statement; see [`insert`].
    insert: String,
    /// JSON array of rows without its closing bracket. Each row is an array of its columns.
    values: String,
    rows: usize,
}

impl ImportTarget {
    /// Locks the tables and checks that they are the ones of the service.
    pub(super) fn open(database: ServiceDatabase<'_>) -> Result<Self, TransferError> {
        let mut connection = lock::lock_tables(database)?;
        let tables = database.tables;
        schema::check_tables(&mut connection, tables)?;
        Ok(Self {
            connection,
            tables,
            batch: None,
        })
    }

    pub(super) fn state(&mut self) -> Result<Option<ImportState>, TransferError> {
        Ok(marker::find_state(&mut self.connection)?)
    }

    pub(super) fn set_state(&mut self, state: ImportState) -> Result<(), TransferError> {
        Ok(marker::set_state(&mut self.connection, state)?)
    }

    pub(super) fn migrations(&mut self) -> Result<Vec<String>, TransferError> {
        Ok(schema::query_migrations(&mut self.connection)?)
    }

    /// Finds a table that has rows, except seeded tables.
    pub(super) fn find_nonempty_table(&mut self) -> Result<Option<&'static Table>, TransferError> {
        for table in self.tables.tables.iter().filter(|table| !table.is_seeded) {
            let any = format!("SELECT '' AS text FROM {} LIMIT 1", table.name);
            if !query_texts(&mut self.connection, &any)?.is_empty() {
                return Ok(Some(table));
            }
        }
        Ok(None)
    }

    /// Deletes the rows of an earlier import. Seeded rows are replaced later.
    pub(super) fn clear(&mut self) -> Result<(), TransferError> {
        self.delete(|table| !table.is_seeded)
    }

    /// Deletes the rows that the migrations inserted, which the rows of the export replace.
    pub(super) fn delete_seeded_rows(&mut self) -> Result<(), TransferError> {
        self.delete(|table| table.is_seeded)
    }

    fn delete(&mut self, is_selected: impl Fn(&&Table) -> bool) -> Result<(), TransferError> {
        // In reverse order, so that rows are deleted before the rows that they refer to.
        let tables = self.tables.tables.iter().rev().filter(is_selected);
        let delete: String = tables
            .map(|table| format!("DELETE FROM {}; ", table.name))
            .collect();
        Ok(self
            .connection
            .batch_execute(&delete)
            .map_err(Error::from)?)
    }

    /// Adds a row to the current batch, which is inserted when it is full or the table changes. One
    /// INSERT for each row would need a round trip for each.
    pub(super) fn insert(&mut self, table: &'static Table, row: &Row) -> Result<(), TransferError> {
        let mut batch = match self.batch.take() {
            Some(batch) if batch.table == table => batch,
            other => {
                self.batch = other;
                self.flush()?;
                self.new_batch(table)?
            }
        };
        batch.push(&self.tables.full_name(table), row)?;
        let is_full = batch.rows >= MAX_ROWS || batch.values.len() >= MAX_BYTES;
        self.batch = Some(batch);
        if is_full { self.flush() } else { Ok(()) }
    }

    fn new_batch(&mut self, table: &'static Table) -> Result<Batch, TransferError> {
        let columns = schema::query_columns(&mut self.connection, table.name)?;
        let insert = insert(&self.connection, table, &columns);
        Ok(Batch {
            table,
            columns,
            insert,
            values: String::new(),
            rows: 0,
        })
    }

    /// Inserts the current batch.
    fn flush(&mut self) -> Result<(), TransferError> {
        let Some(Batch {
            table,
            insert,
            values,
            ..
        }) = self.batch.take()
        else {
            return Ok(());
        };
        let query = diesel::sql_query(insert).bind::<Text, _>(values + "]");
        let inserted = match &mut self.connection {
            AnyConnection::Postgres(connection) => query.execute(connection),
            AnyConnection::Sqlite(connection) => query.execute(connection),
        };
        let to_error = |error| TransferError::Insert {
            table: self.tables.full_name(table),
            source: Error::from(error),
        };
        inserted.map(drop).map_err(to_error)
    }

    /// Inserts the last batch and checks that each seeded table has one row.
    pub(super) fn finish(&mut self) -> Result<(), TransferError> {
        self.flush()?;
        for table in self.tables.tables {
            if table.is_seeded {
                let rows = query_texts(
                    &mut self.connection,
                    &format!("SELECT '' AS text FROM {} LIMIT 2", table.name),
                )?;
                if rows.len() != 1 {
                    return Err(TransferError::RowCountNotOne(self.tables.full_name(table)));
                }
            }
            self.advance_sequences(table)?;
        }
        Ok(())
    }

    /// Advances the sequences of identity columns in PostgreSQL beyond the inserted rows. In
    /// SQLite, new rows are numbered after the largest existing one anyway.
    fn advance_sequences(&mut self, table: &Table) -> Result<(), TransferError> {
        for column in schema::query_columns(&mut self.connection, table.name)?
            .iter()
            .filter(|column| column.is_identity)
        {
            let Column { name, .. } = column;
            let advance = format!(
                "SELECT setval(pg_get_serial_sequence('{table}', '{name}'), COALESCE(MAX({name}), 1), MAX({name}) IS NOT NULL) \
                 FROM {table}",
                table = table.name
            );
            self.connection
                .batch_execute(&advance)
                .map_err(Error::from)?;
        }
        Ok(())
    }

    pub(super) fn commit(mut self) -> Result<(), TransferError> {
        Ok(commit(&mut self.connection).map_err(Error::from)?)
    }
}

impl Batch {
    /// Adds a row, whose columns and types must be those of the table.
    fn push(&mut self, table: &str, row: &Row) -> Result<(), TransferError> {
        if let Some(column) = row
            .keys()
            .find(|name| !self.columns.iter().any(|column| column.name == **name))
        {
            return Err(TransferError::UnknownColumn {
                table: table.to_owned(),
                column: column.clone(),
            });
        }
        let mut values = Vec::with_capacity(self.columns.len());
        for column in &self.columns {
            let column_error = |error: fn(String, String) -> TransferError| {
                error(table.to_owned(), column.name.clone())
            };
            let value = row.get(&column.name);
            let value = value.ok_or_else(|| {
                column_error(|table, column| TransferError::MissingColumn { table, column })
            })?;
            if !is_valid_value(value, column) {
                return Err(column_error(|table, column| TransferError::WrongType {
                    table,
                    column,
                }));
            }
            values.push(value);
        }
        let values =
            serde_json::to_string(&values).map_err(|error| Error::Other(error.to_string()))?;
        self.values.push(if self.rows == 0 { '[' } else { ',' });
        self.values.push_str(&values);
        self.rows += 1;
        Ok(())
    }
}

/// Returns whether a value has the type of its column. Text with NUL is invalid, because PostgreSQL
/// cannot store it.
fn is_valid_value(value: &Value, column: &Column) -> bool {
    match (value, column.kind) {
        (Value::Null, _) => column.is_nullable,
        (Value::String(text), Kind::Text) => !text.contains('\0'),
        (Value::Number(number), Kind::Integer) => number.as_i64().is_some(),
        (Value::Number(number), Kind::Boolean) => matches!(number.as_i64(), Some(0 | 1)),
        (
            Value::String(_)
            | Value::Number(_)
            | Value::Bool(_)
            | Value::Array(_)
            | Value::Object(_),
            _,
        ) => false,
    }
}

/// Returns an INSERT whose only parameter is a JSON array of rows.
fn insert(connection: &AnyConnection, table: &Table, columns: &[Column]) -> String {
    let names = columns
        .iter()
        .map(Column::quoted)
        .collect::<Vec<_>>()
        .join(", ");
    let table = table.name;
    match connection {
        AnyConnection::Postgres(_) => {
            let values = columns.iter().enumerate().map(|(index, column)| {
                let kind = match column.kind {
                    Kind::Text => "text",
                    Kind::Integer => "bigint",
                    Kind::Boolean => "integer::boolean",
                };
                format!("(line ->> {index})::{kind}")
            });
            let values = values.collect::<Vec<_>>().join(", ");
            format!(
                "INSERT INTO {table} ({names}) OVERRIDING SYSTEM VALUE SELECT {values} \
                 FROM json_array_elements($1::json) AS lines (line)"
            )
        }
        AnyConnection::Sqlite(_) => {
            let values =
                (0..columns.len()).map(|index| format!("json_extract(value, '$[{index}]')"));
            let values = values.collect::<Vec<_>>().join(", ");
            format!("INSERT INTO {table} ({names}) SELECT {values} FROM json_each(?)")
        }
    }
}
