//! Creates the databases of one installation on SQLite or PostgreSQL, and reverts migrations in them.

use std::path::Path;

use doorward_storage::{DatabaseUrl, testing::create_postgres_database};

use crate::{postgres::Postgres, sql::execute};

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
