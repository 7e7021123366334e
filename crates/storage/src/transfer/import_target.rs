//! A database that is being filled: the tables are locked until the end of its transaction.

use diesel::{RunQueryDsl, connection::SimpleConnection, sql_types::Text};
use serde_json::Value;

use crate::transfer::{
    Row, Table, Tables, TransferError, lock,
    marker::{self, ImportState},
    schema::{self, Column, Kind, query_texts},
};
use crate::{AnyConnection, DatabaseUrl, Error, database::commit};

/// Maximum number of rows in one INSERT.
const MAX_ROWS: usize = 500;
/// Size of the values from which an INSERT is executed.
const MAX_BYTES: usize = 1024 * 1024;

pub(crate) struct ImportTarget {
    connection: AnyConnection,
    pub(crate) tables: &'static Tables,
    batch: Option<Batch>,
}

/// Rows of one table for one INSERT.
struct Batch {
    table: &'static Table,
    columns: Vec<Column>,
    insert: String,
    /// The beginning of a JSON array of rows, each an array of its columns.
    values: String,
    rows: usize,
}

impl ImportTarget {
    pub(crate) fn open(url: &DatabaseUrl, tables: &'static Tables) -> Result<Self, TransferError> {
        let mut connection = lock::lock_tables(url, tables)?;
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

    pub(super) fn set_state(&mut self, marker: ImportState) -> Result<(), TransferError> {
        Ok(marker::set_state(&mut self.connection, marker)?)
    }

    pub(crate) fn migrations(&mut self) -> Result<Vec<String>, TransferError> {
        Ok(schema::query_migrations(&mut self.connection)?)
    }

    /// Finds a table that has rows, other than those of the migrations.
    pub(crate) fn find_nonempty_table(&mut self) -> Result<Option<&'static Table>, TransferError> {
        for table in self.tables.tables.iter().filter(|table| !table.is_seeded) {
            let any = format!("SELECT '' AS text FROM {} LIMIT 1", table.name);
            if !query_texts(&mut self.connection, &any)?.is_empty() {
                return Ok(Some(table));
            }
        }
        Ok(None)
    }

    /// Deletes what an earlier import has left.
    pub(crate) fn clear(&mut self) -> Result<(), TransferError> {
        self.delete(|table| !table.is_seeded)
    }

    /// Deletes the rows of the migrations; those of the export take their place.
    pub(crate) fn delete_seeded_rows(&mut self) -> Result<(), TransferError> {
        self.delete(|table| table.is_seeded)
    }

    fn delete(&mut self, which: impl Fn(&&Table) -> bool) -> Result<(), TransferError> {
        // Tables that refer to others come first.
        let tables = self.tables.tables.iter().rev().filter(which);
        let delete: String = tables
            .map(|table| format!("DELETE FROM {}; ", table.name))
            .collect();
        Ok(self
            .connection
            .batch_execute(&delete)
            .map_err(Error::from)?)
    }

    /// Inserts a row, now or with later ones.
    pub(crate) fn insert(&mut self, table: &'static Table, row: &Row) -> Result<(), TransferError> {
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
        let refused = |error| TransferError::Insert {
            table: self.tables.full_name(table),
            source: Error::from(error),
        };
        inserted.map(drop).map_err(refused)
    }

    /// Inserts what is left, and makes sure that what every database has is there.
    pub(crate) fn finish(&mut self) -> Result<(), TransferError> {
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

    /// Makes PostgreSQL number new rows after those that were inserted. SQLite does so by itself.
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

    pub(crate) fn commit(mut self) -> Result<(), TransferError> {
        Ok(commit(&mut self.connection).map_err(Error::from)?)
    }
}

impl Batch {
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
            let named = |error: fn(String, String) -> TransferError| {
                error(table.to_owned(), column.name.clone())
            };
            let value = row.get(&column.name);
            let value = value.ok_or_else(|| {
                named(|table, column| TransferError::MissingColumn { table, column })
            })?;
            if !is_valid_value(value, column) {
                return Err(named(|table, column| TransferError::WrongType {
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

/// PostgreSQL has no NUL in texts.
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

/// A statement that takes the rows as one JSON array.
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
