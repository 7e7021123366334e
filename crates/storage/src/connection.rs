//! A connection to either database, and how it is set up.

use diesel::{Connection as _, PgConnection, SqliteConnection, connection::SimpleConnection};

use crate::{
    DatabaseUrl, Error,
    error::{Backend, start_work},
};

/// Either database. What both say alike is written once in diesel; the rest is a `match` in one small function.
#[derive(diesel::MultiConnection)]
pub enum AnyConnection {
    Postgres(PgConnection),
    Sqlite(SqliteConnection),
}

/// Waiting for a lock ends before the deadline of the call that waits.
const POSTGRES_SETUP: &str = "SET statement_timeout = '8s'; SET lock_timeout = '5s'; \
     SET idle_in_transaction_session_timeout = '15s'; SET TIME ZONE 'UTC'";
/// Milliseconds for which SQLite waits for a lock.
pub(crate) const BUSY_TIMEOUT: u32 = 5000;
/// `busy_timeout` first: switching to WAL takes a lock. `synchronous = FULL` keeps what was acknowledged through a
/// power cut too. The cache is in KiB when negative.
const SQLITE_SETUP: &str = "PRAGMA busy_timeout = 5000; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; \
     PRAGMA foreign_keys = ON; PRAGMA cache_size = -1024; PRAGMA temp_store = MEMORY";

impl AnyConnection {
    pub(crate) fn open(url: &DatabaseUrl) -> Result<Self, Error> {
        match url {
            DatabaseUrl::Sqlite(path) => {
                start_work(Backend::Sqlite);
                let path = path
                    .to_str()
                    .ok_or_else(|| Error::Other("the path is not UTF-8".to_owned()))?;
                // A file that can't be opened now can't be opened later.
                let opened = SqliteConnection::establish(path)
                    .map_err(|error| Error::Other(error.to_string()));
                let mut connection = opened?;
                connection.batch_execute(SQLITE_SETUP)?;
                Ok(Self::Sqlite(connection))
            }
            DatabaseUrl::Postgres(url) => {
                start_work(Backend::Postgres);
                // Left to libpq, OpenSSL would be torn down at the end of the process under threads that are connecting.
                #[cfg(feature = "postgres-tls")]
                openssl_sys::init();
                let mut connection = PgConnection::establish(&with_timeouts(url))?;
                connection.batch_execute(POSTGRES_SETUP)?;
                Ok(Self::Postgres(connection))
            }
        }
    }

    /// Until this transaction ends, PostgreSQL plans each query for the values and the table of the moment. For a query on a
    /// list of values it would otherwise keep a plan of when the table was empty, and read all of the table with it.
    ///
    /// # Errors
    /// Those of the database.
    pub fn force_custom_plans(&mut self) -> Result<(), Error> {
        match self {
            Self::Postgres(connection) => {
                connection.batch_execute("SET LOCAL plan_cache_mode = force_custom_plan")?
            }
            Self::Sqlite(_) => {}
        }
        Ok(())
    }
}

/// A server that vanishes is noticed within seconds, unless the URL says otherwise.
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
