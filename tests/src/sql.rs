//! Direct access of tests to a database: statements, queries and locks.

use diesel::{
    Connection, PgConnection, QueryableByName, RunQueryDsl, SqliteConnection,
    connection::SimpleConnection, sql_types::Text,
};
use doorward_storage::{AnyConnection, DatabaseUrl};

/// Runs SQL statements without a result.
pub fn execute(url: &DatabaseUrl, sql: &str) {
    connect(url)
        .batch_execute(sql)
        .unwrap_or_else(|error| panic!("{sql}: {error}"));
}

/// Returns the values of a query's column `text`, which must have the type text.
#[must_use]
pub fn texts(url: &DatabaseUrl, sql: &str) -> Vec<String> {
    #[derive(QueryableByName)]
    struct Row {
        #[diesel(sql_type = Text)]
        text: String,
    }
    let rows: Vec<Row> = diesel::sql_query(sql)
        .load(&mut connect(url))
        .unwrap_or_else(|error| panic!("{sql}: {error}"));
    rows.into_iter().map(|row| row.text).collect()
}

/// A lock on a table that is released when this value is dropped.
pub struct LockedTable {
    _connection: AnyConnection,
}

/// Locks a table for reads and writes. Only PostgreSQL has such a lock.
#[must_use]
pub fn lock_table(url: &DatabaseUrl, table: &str) -> LockedTable {
    let mut connection = connect(url);
    connection
        .batch_execute(&format!(
            "BEGIN; LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE"
        ))
        .expect("a lock");
    LockedTable {
        _connection: connection,
    }
}

/// Locks a table for writes and leaves it readable. SQLite locks all tables of the database.
#[must_use]
pub fn block_writes(url: &DatabaseUrl, table: &str) -> LockedTable {
    let mut connection = connect(url);
    let sql = match connection {
        AnyConnection::Sqlite(_) => "BEGIN IMMEDIATE".to_owned(),
        AnyConnection::Postgres(_) => format!("BEGIN; LOCK TABLE {table} IN EXCLUSIVE MODE"),
    };
    connection.batch_execute(&sql).expect("a lock");
    LockedTable {
        _connection: connection,
    }
}

/// Counts the connections that wait for a lock in this PostgreSQL database.
#[must_use]
pub fn count_lock_waiters(url: &DatabaseUrl) -> usize {
    let waiting = "SELECT pid::text AS text FROM pg_stat_activity \
        WHERE datname = current_database() AND wait_event_type = 'Lock'";
    texts(url, waiting).len()
}

fn connect(url: &DatabaseUrl) -> AnyConnection {
    match url {
        DatabaseUrl::Sqlite(path) => {
            let mut connection =
                SqliteConnection::establish(&path.display().to_string()).expect("the SQLite file");
            connection
                .batch_execute("PRAGMA busy_timeout = 5000")
                .expect("a setting");
            AnyConnection::Sqlite(connection)
        }
        DatabaseUrl::Postgres(url) => {
            AnyConnection::Postgres(PgConnection::establish(url).expect("the PostgreSQL server"))
        }
    }
}
