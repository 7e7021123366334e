//! A connection to either database, and its session settings.

use diesel::{Connection as _, PgConnection, SqliteConnection, connection::SimpleConnection};

use crate::{
    error::{Backend, Error, start_work},
    url::DatabaseUrl,
};

/// A connection to PostgreSQL or SQLite. Queries that both understand are written once with diesel;
/// others are a `match` in a small function.
#[derive(diesel::MultiConnection)]
pub enum AnyConnection {
    Postgres(PgConnection),
    Sqlite(SqliteConnection),
}

/// Session settings. The timeouts are below the deadline of a call, so a call that waits for a lock
/// fails with a database error.
const POSTGRES_SETUP: &str = "SET statement_timeout = '8s'; SET lock_timeout = '5s'; \
     SET idle_in_transaction_session_timeout = '15s'; SET TIME ZONE 'UTC'";
/// Maximum time that SQLite waits for a lock, in milliseconds.
pub(crate) const BUSY_TIMEOUT: u32 = 5000;
/// Session settings. `busy_timeout` comes first, because switching to WAL takes a lock.
/// `synchronous = FULL` preserves acknowledged writes across a power failure. A negative
/// `cache_size` is in KiB.
const SQLITE_SETUP: &str = "PRAGMA busy_timeout = 5000; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; \
     PRAGMA foreign_keys = ON; PRAGMA cache_size = -1024; PRAGMA temp_store = MEMORY";

impl AnyConnection {
    /// Connects and applies the session settings.
    pub(crate) fn open(url: &DatabaseUrl) -> Result<Self, Error> {
        match url {
            DatabaseUrl::Sqlite(path) => {
                start_work(Backend::Sqlite);
                let path = path
                    .to_str()
                    .ok_or_else(|| Error::Other("the path is not UTF-8".to_owned()))?;
                // `Disconnected` would mean that another attempt may succeed, which is unlikely
                // here.
                let opened = SqliteConnection::establish(path)
                    .map_err(|error| Error::Other(error.to_string()));
                let mut connection = opened?;
                connection.batch_execute(SQLITE_SETUP)?;
                Ok(Self::Sqlite(connection))
            }
            DatabaseUrl::Postgres(url) => {
                start_work(Backend::Postgres);
                // If libpq initialized OpenSSL, it would be torn down at exit while other threads
                // may still be connecting.
                #[cfg(feature = "postgres-tls")]
                openssl_sys::init();
                let mut connection = PgConnection::establish(&with_timeouts(url))?;
                connection.batch_execute(POSTGRES_SETUP)?;
                Ok(Self::Postgres(connection))
            }
        }
    }

    pub(crate) const fn backend(&self) -> Backend {
        match self {
            Self::Postgres(_) => Backend::Postgres,
            Self::Sqlite(_) => Backend::Sqlite,
        }
    }

    /// Makes PostgreSQL plan each query of this transaction for its values and the current
    /// statistics. For a query with a list of values, it could otherwise reuse a generic plan from
    /// when the table was empty, which reads the whole table.
    ///
    /// # Errors
    /// Database errors.
    pub fn force_custom_plans(&mut self) -> Result<(), Error> {
        match self {
            Self::Postgres(connection) => {
                connection.batch_execute("SET LOCAL plan_cache_mode = force_custom_plan")?;
            }
            Self::Sqlite(_) => {}
        }
        Ok(())
    }
}

/// Adds parameters to a PostgreSQL URL unless it has them. With these timeouts, a lost server is
/// detected within seconds.
fn with_timeouts(url: &str) -> String {
    let mut url = url.to_owned();
    for (name, value) in [
        ("connect_timeout", "2"),
        ("tcp_user_timeout", "8000"),
        ("application_name", "doorward"),
    ] {
        if !url.contains(&format!("{name}=")) {
            let separator = if url.contains('?') { '&' } else { '?' };
            url.push_str(&format!("{separator}{name}={value}"));
        }
    }
    url
}
