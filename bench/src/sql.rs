//! SQL that does not pass through the server: creates databases for a measurement and inserts many
//! rows at once.

use anyhow::Context;
use diesel::{
    Connection, PgConnection, RunQueryDsl, SqliteConnection, connection::SimpleConnection,
    dsl::sql, sql_types::Integer,
};
use doorward_domain::{IdGenerator, RandomIdGenerator};

/// Variable in which `scripts/with-postgres.sh` passes the URL of the PostgreSQL server.
const POSTGRES_VARIABLE: &str = "TEST_POSTGRES_URL";

/// A PostgreSQL database that is deleted when this value is dropped.
pub(crate) struct PostgresDatabase {
    server: String,
    name: String,
    pub(crate) url: String,
}

impl PostgresDatabase {
    pub(crate) fn create() -> anyhow::Result<Self> {
        let server = postgres_url()
            .with_context(|| format!("{POSTGRES_VARIABLE} is not set; run `make bench`"))?;
        let name = format!(
            "bench_{}",
            RandomIdGenerator.new_gid().to_string().replace('-', "_")
        );
        execute(&server, &format!("CREATE DATABASE {name}"))?;
        let (base, _) = server
            .rsplit_once('/')
            .context("a URL without a database")?;
        let url = format!("{base}/{name}");
        Ok(Self { server, name, url })
    }
}

impl Drop for PostgresDatabase {
    fn drop(&mut self) {
        drop(execute(
            &self.server,
            &format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", self.name),
        ));
    }
}

fn postgres_url() -> Option<String> {
    std::env::var_os(POSTGRES_VARIABLE)?.into_string().ok()
}

/// Calls `inspect` with the id of the process that serves a connection to PostgreSQL, while the
/// connection is open. Returns `None` if no server is configured.
pub(crate) fn with_backend_process<T>(inspect: impl FnOnce(u32) -> Option<T>) -> Option<T> {
    let mut connection = PgConnection::establish(&postgres_url()?).ok()?;
    let id: i32 = diesel::select(sql::<Integer>("pg_backend_pid()"))
        .get_result(&mut connection)
        .ok()?;
    inspect(id.try_into().ok()?)
}

/// Runs statements that return no rows.
pub(crate) fn execute(url: &str, sql: &str) -> anyhow::Result<()> {
    match url.strip_prefix("sqlite://") {
        Some(path) => SqliteConnection::establish(path)?.batch_execute(sql)?,
        None => PgConnection::establish(url)?.batch_execute(sql)?,
    }
    Ok(())
}

/// Updates the planner statistics of PostgreSQL, which autovacuum does within a minute of so many
/// changes. SQLite needs no such step: Doorward does not analyze it in production.
pub(crate) fn analyze(url: &str) -> anyhow::Result<()> {
    if url.starts_with("sqlite://") {
        Ok(())
    } else {
        execute(url, "ANALYZE")
    }
}
