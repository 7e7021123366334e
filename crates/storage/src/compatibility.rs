//! Checks that the setup of a database is supported: its encoding is UTF-8, and each connection has
//! its own session.

use diesel::{
    PgConnection, QueryableByName, RunQueryDsl, SqliteConnection,
    connection::SimpleConnection,
    sql_query,
    sql_types::{Nullable, Text},
};

use crate::{connection::AnyConnection, error::Error, url::DatabaseUrl};

/// Number of checks for a shared session. One check can miss it if another client of the pooler
/// takes the session in between.
const SESSION_CHECKS: usize = 3;

#[derive(QueryableByName)]
struct Row {
    #[diesel(sql_type = Nullable<Text>)]
    value: Option<String>,
}

/// Checks that the encoding of the database is UTF-8.
///
/// # Errors
/// [`Error::Incompatible`] if it is not; database errors.
pub(crate) fn check_encoding(connection: &mut AnyConnection) -> Result<(), Error> {
    let encoding: Row = match connection {
        AnyConnection::Postgres(connection) => {
            sql_query("SELECT current_setting('server_encoding') AS value")
                .get_result(connection)?
        }
        AnyConnection::Sqlite(connection) => query_sqlite_encoding(connection)?,
    };
    let encoding = encoding.value.unwrap_or_default();
    if matches!(encoding.as_str(), "UTF8" | "UTF-8") {
        return Ok(());
    }
    Err(Error::Incompatible(format!(
        "the encoding of the database is {encoding}, and must be UTF-8: create it again"
    )))
}

fn query_sqlite_encoding(connection: &mut SqliteConnection) -> diesel::QueryResult<Row> {
    sql_query("SELECT encoding AS value FROM pragma_encoding").get_result(connection)
}

/// Rejects a connection pooler that gives a session to another client between two transactions
/// (PgBouncer with `pool_mode = transaction`), because prepared statements and settings belong to a
/// session.
///
/// The check sets a variable on one connection. It must still be set in the next transaction of
/// that connection, while another connection has a transaction open, and that one must not see it.
///
/// # Errors
/// [`Error::Incompatible`] if sessions are shared; database errors.
pub(crate) fn check_sessions(
    connection: &mut AnyConnection,
    url: &DatabaseUrl,
) -> Result<(), Error> {
    let AnyConnection::Postgres(connection) = connection else {
        return Ok(());
    };
    let AnyConnection::Postgres(mut other) = AnyConnection::open(url)? else {
        return Ok(());
    };
    for _ in 0..SESSION_CHECKS {
        connection.batch_execute("SET doorward.session = 'own'")?;
        other.batch_execute("BEGIN")?;
        let is_set_in_other = has_session_variable(&mut other)?;
        connection.batch_execute("BEGIN")?;
        let is_set = has_session_variable(connection)?;
        connection.batch_execute("COMMIT")?;
        other.batch_execute("COMMIT")?;
        connection.batch_execute("SET doorward.session = ''")?;
        if is_set_in_other || !is_set {
            return Err(Error::Incompatible(
                "a connection pooler in transaction mode (such as PgBouncer with pool_mode = transaction) is between \
                 Doorward and PostgreSQL: use one in session mode, or none"
                    .to_owned(),
            ));
        }
    }
    Ok(())
}

fn has_session_variable(connection: &mut PgConnection) -> diesel::QueryResult<bool> {
    let row: Row = sql_query("SELECT current_setting('doorward.session', true) AS value")
        .get_result(connection)?;
    Ok(row.value.is_some_and(|value| value == "own"))
}
