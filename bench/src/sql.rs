//! SQL beside the server: databases of a measurement's own, and rows in bulk.

use anyhow::Context;
use diesel::{Connection, PgConnection, SqliteConnection, connection::SimpleConnection};
use doorward_domain::{Ids, RandomIds};

/// Where `scripts/with-postgres.sh` says that the server is.
const POSTGRES_VARIABLE: &str = "TEST_POSTGRES_URL";

/// A PostgreSQL database that goes away with this value.
pub(crate) struct PostgresDatabase {
    server: String,
    name: String,
    pub(crate) url: String,
}

impl PostgresDatabase {
    pub(crate) fn create() -> anyhow::Result<Self> {
        let server = std::env::var_os(POSTGRES_VARIABLE).and_then(|url| url.into_string().ok());
        let server = server.with_context(|| format!("{POSTGRES_VARIABLE} is not set: run this by `make bench`"))?;
        let name = format!("bench_{}", RandomIds.gid().to_string().replace('-', "_"));
        execute(&server, &format!("CREATE DATABASE {name}"))?;
        let (base, _) = server.rsplit_once('/').context("a URL without a database")?;
        let url = format!("{base}/{name}");
        Ok(Self { server, name, url })
    }
}

impl Drop for PostgresDatabase {
    fn drop(&mut self) {
        drop(execute(&self.server, &format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", self.name)));
    }
}

/// Runs statements that answer nothing.
pub(crate) fn execute(url: &str, sql: &str) -> anyhow::Result<()> {
    match url.strip_prefix("sqlite://") {
        Some(path) => SqliteConnection::establish(path)?.batch_execute(sql)?,
        None => PgConnection::establish(url)?.batch_execute(sql)?,
    }
    Ok(())
}

/// What PostgreSQL's autovacuum does within a minute of such an amount of changes. SQLite is as it is in production.
pub(crate) fn analyze(url: &str) -> anyhow::Result<()> {
    if url.starts_with("sqlite://") { Ok(()) } else { execute(url, "ANALYZE") }
}
