//! Databases for tests: a new one per test, on SQLite and on PostgreSQL.

use std::path::PathBuf;

use diesel::{QueryableByName, RunQueryDsl, connection::SimpleConnection, sql_types::BigInt};
use doorward_domain::{Gid, IdGenerator, RandomIdGenerator};

use crate::{
    connection::AnyConnection,
    database::{Database, DatabaseOptions},
    migrate::{IncompleteImport, Migrations, migrate},
    url::DatabaseUrl,
};

/// A database that is deleted when this value is dropped.
pub struct TestDatabase {
    pub database: Database,
    clean_up: CleanUp,
}

enum CleanUp {
    Directory(PathBuf),
    Postgres { server: DatabaseUrl, name: String },
}

/// Environment variable with the URL of a PostgreSQL server on which tests are superuser. `make
/// test` starts one.
pub const POSTGRES_VARIABLE: &str = "TEST_POSTGRES_URL";

impl TestDatabase {
    /// Returns a migrated database on SQLite and one on PostgreSQL.
    #[must_use]
    pub fn both(migrations: &Migrations) -> [Self; 2] {
        [Self::sqlite(migrations), Self::postgres(migrations)]
    }

    #[must_use]
    pub fn sqlite(migrations: &Migrations) -> Self {
        let directory =
            std::env::temp_dir().join(format!("doorward-test-{}", RandomIdGenerator.new_gid()));
        unwrap_or_exit(std::fs::create_dir_all(&directory));
        let url = DatabaseUrl::Sqlite(directory.join("test.db"));
        Self::open(url, migrations, CleanUp::Directory(directory))
    }

    #[must_use]
    pub fn postgres(migrations: &Migrations) -> Self {
        let (server, url, name) = create_postgres_database();
        Self::open(url, migrations, CleanUp::Postgres { server, name })
    }

    /// Opens the database with a new pool, for settings that only new sessions have.
    #[must_use]
    pub fn reopen(&self) -> Database {
        Database::new(DatabaseOptions {
            name: "test",
            url: self.database.url().clone(),
            pool_size: 8,
        })
    }

    fn open(url: DatabaseUrl, migrations: &Migrations, clean_up: CleanUp) -> Self {
        unwrap_or_exit(migrate(&url, migrations, IncompleteImport::Accept));
        let database = Database::new(DatabaseOptions {
            name: "test",
            url,
            pool_size: 8,
        });
        Self { database, clean_up }
    }
}

/// Creates an empty database on the test server. Returns the URL of the server, and the URL and
/// name of the database.
#[must_use]
pub fn create_postgres_database() -> (DatabaseUrl, DatabaseUrl, String) {
    #[expect(clippy::disallowed_methods, reason = "tests have no settings")]
    let server = std::env::var(POSTGRES_VARIABLE);
    let server =
        unwrap_or_exit(server.map_err(|_| {
            format!("{POSTGRES_VARIABLE} is not set: run the tests with `make test`")
        }));
    let gid: Gid = RandomIdGenerator.new_gid();
    let name = format!("test_{}", gid.to_string().replace('-', "_"));
    let base = server
        .rsplit_once('/')
        .map_or(server.as_str(), |(base, _)| base)
        .to_owned();
    let server: DatabaseUrl = unwrap_or_exit(server.parse());
    unwrap_or_exit(
        unwrap_or_exit(AnyConnection::open(&server))
            .batch_execute(&format!("CREATE DATABASE {name}")),
    );
    (
        server,
        unwrap_or_exit(format!("{base}/{name}").parse()),
        name,
    )
}

/// Counts the executions of generic plans on this connection to PostgreSQL.
#[must_use]
pub fn count_generic_plan_executions(connection: &mut AnyConnection) -> i64 {
    #[derive(QueryableByName)]
    struct Row {
        #[diesel(sql_type = BigInt)]
        count: i64,
    }
    let query =
        "SELECT COALESCE(SUM(generic_plans), 0)::bigint AS count FROM pg_prepared_statements";
    unwrap_or_exit(diesel::sql_query(query).get_result::<Row>(connection)).count
}

impl Drop for TestDatabase {
    fn drop(&mut self) {
        match &self.clean_up {
            CleanUp::Directory(directory) => drop(std::fs::remove_dir_all(directory)),
            CleanUp::Postgres { server, name } => {
                if let Ok(mut connection) = AnyConnection::open(server) {
                    let drop_database = format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)");
                    drop(diesel::sql_query(drop_database).execute(&mut connection));
                }
            }
        }
    }
}

#[expect(clippy::panic, reason = "a test without a database fails")]
fn unwrap_or_exit<T, E: std::fmt::Display>(result: Result<T, E>) -> T {
    result.unwrap_or_else(|error| panic!("{error}"))
}
