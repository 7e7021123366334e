//! Whether a database can be used as it is set up: it keeps UTF-8, and each connection has a session of its own.

use diesel::{
    PgConnection, QueryableByName, RunQueryDsl, SqliteConnection,
    connection::SimpleConnection,
    sql_query,
    sql_types::{Nullable, Text},
};

use crate::{AnyConnection, DatabaseUrl, Error};

/// How often the check for a shared session is repeated: other clients of the pooler may take the session in between.
const SESSION_CHECKS: usize = 3;

#[derive(QueryableByName)]
struct Row {
    #[diesel(sql_type = Nullable<Text>)]
    value: Option<String>,
}

/// # Errors
/// [`Error::Incompatible`] when the database keeps another encoding than UTF-8; errors of the database.
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

/// Refuses a connection pooler that gives a session to another client between two transactions (PgBouncer with
/// `pool_mode = transaction`): prepared statements and settings belong to a session. What one connection sets must be there in
/// its next transaction while another connection has one open, and must not be seen by that one.
///
/// # Errors
/// [`Error::Incompatible`] when sessions are shared; errors of the database.
pub(crate) fn check_sessions(
    connection: &mut AnyConnection,
    url: &DatabaseUrl,
) -> Result<(), Error> {
    let AnyConnection::Postgres(connection) = connection else {
        return Ok(());
    };
    for _ in 0..SESSION_CHECKS {
        let AnyConnection::Postgres(mut other) = AnyConnection::open(url)? else {
            return Ok(());
        };
        connection.batch_execute("SET doorward.session = 'own'")?;
        other.batch_execute("BEGIN")?;
        let is_seen_by_other = keeps_its_session(&mut other)?;
        connection.batch_execute("BEGIN")?;
        let is_kept = keeps_its_session(connection)?;
        connection.batch_execute("COMMIT")?;
        other.batch_execute("COMMIT")?;
        connection.batch_execute("SET doorward.session = ''")?;
        if is_seen_by_other || !is_kept {
            return Err(Error::Incompatible(
                "a connection pooler in transaction mode (such as PgBouncer with pool_mode = transaction) is between \
                 Doorward and PostgreSQL: use one in session mode, or none"
                    .to_owned(),
            ));
        }
    }
    Ok(())
}

fn keeps_its_session(connection: &mut PgConnection) -> diesel::QueryResult<bool> {
    let row: Row = sql_query("SELECT current_setting('doorward.session', true) AS value")
        .get_result(connection)?;
    Ok(row.value.is_some_and(|value| value == "own"))
}
