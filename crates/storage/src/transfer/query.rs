//! Queries that return text, for statements that are built from the names of tables and columns.

use diesel::{QueryableByName, RunQueryDsl, sql_types::Text};

use crate::{connection::AnyConnection, error::Error};

#[derive(QueryableByName)]
pub(super) struct TextRow {
    #[diesel(sql_type = Text)]
    pub(super) text: String,
}

/// Runs a query with one column called `text` and returns its values.
pub(super) fn query_texts(connection: &mut AnyConnection, sql: &str) -> Result<Vec<String>, Error> {
    let query = diesel::sql_query(sql);
    let rows: Vec<TextRow> = match connection {
        AnyConnection::Postgres(connection) => query.load(connection)?,
        AnyConnection::Sqlite(connection) => query.load(connection)?,
    };
    Ok(rows.into_iter().map(|row| row.text).collect())
}
