//! Creates the databases of one installation on SQLite or PostgreSQL, and gives tests direct access
//! to them: queries, locks and the reversal of migrations.

use std::path::Path;

use diesel::{
    Connection, PgConnection, QueryableByName, RunQueryDsl, SqliteConnection,
    connection::SimpleConnection, sql_types::Text,
};
use doorward_storage::{AnyConnection, DatabaseUrl, testing::create_postgres_database};

use crate::Postgres;

/// The database system of an installation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Backend {
    Sqlite,
    Postgres,
}

/// The databases of auth and directory. The gateway needs no database.
pub struct Databases {
    pub auth: DatabaseUrl,
    pub directory: DatabaseUrl,
    /// The server and the databases on it that are dropped with this value.
    drop_on: Option<(DatabaseUrl, [String; 2])>,
}

impl Databases {
    #[must_use]
    pub fn new(backend: Backend, directory: &Path) -> Self {
        match backend {
            Backend::Sqlite => Self::in_directory(directory),
            Backend::Postgres => {
                let (server, auth, auth_name) = create_postgres_database();
                let (_, directory, directory_name) = create_postgres_database();
                Self {
                    auth,
                    directory,
                    drop_on: Some((server, [auth_name, directory_name])),
                }
            }
        }
    }

    /// Uses existing databases, which are not dropped.
    #[must_use]
    pub fn at(auth: DatabaseUrl, directory: DatabaseUrl) -> Self {
        Self {
            auth,
            directory,
            drop_on: None,
        }
    }

    /// Uses SQLite files in a directory.
    #[must_use]
    pub fn in_directory(directory: &Path) -> Self {
        Self {
            auth: DatabaseUrl::Sqlite(directory.join("auth.db")),
            directory: DatabaseUrl::Sqlite(directory.join("directory.db")),
            drop_on: None,
        }
    }

    /// Creates the databases on a private server. They are not dropped, because the test removes
    /// the whole server.
    #[must_use]
    pub fn on(server: &Postgres) -> Self {
        Self {
            auth: server.create_database("auth"),
            directory: server.create_database("directory"),
            drop_on: None,
        }
    }
}

impl Drop for Databases {
    fn drop(&mut self) {
        if let Some((server, names)) = &self.drop_on {
            for name in names {
                execute(
                    server,
                    &format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)"),
                );
            }
        }
    }
}

/// Returns the URL in the form of the settings. `Display` would leave out the password.
#[must_use]
pub fn url_text(url: &DatabaseUrl) -> String {
    match url {
        DatabaseUrl::Sqlite(path) => format!("sqlite://{}", path.display()),
        DatabaseUrl::Postgres(text) => text.clone(),
    }
}

/// Reverts the migration `plain_names` of a service, so that a test can convert a database to the
/// schema of an earlier release.
///
/// # Panics
/// If the database rejects a statement.
pub fn undo_plain_names(database: &DatabaseUrl, service: &str) {
    let sql = match (service, database) {
        ("auth", DatabaseUrl::Sqlite(_)) => include_str!("undo_plain_names/auth_sqlite.sql"),
        ("auth", DatabaseUrl::Postgres(_)) => include_str!("undo_plain_names/auth_postgres.sql"),
        (_, DatabaseUrl::Sqlite(_)) => include_str!("undo_plain_names/directory_sqlite.sql"),
        (_, DatabaseUrl::Postgres(_)) => include_str!("undo_plain_names/directory_postgres.sql"),
    };
    execute(database, sql);
}

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
