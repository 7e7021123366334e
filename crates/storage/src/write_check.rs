//! Checks that a database accepts writes by writing. The result is cached, so that readiness probes
//! do not cause load.

use std::{
    fs::{self, File},
    io::{self, ErrorKind, Write},
    path::Path,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use diesel::{
    QueryableByName, RunQueryDsl, connection::SimpleConnection, sql_query, sql_types::Text,
};

use crate::{
    connection::{AnyConnection, BUSY_TIMEOUT},
    error::{Error, is_sqlite_locked},
    url::DatabaseUrl,
};

/// Interval of checks while writes succeed.
const INTERVAL: Duration = Duration::from_secs(5);
/// Interval of checks while writes fail.
const FAILING_INTERVAL: Duration = Duration::from_secs(1);
/// Free space that an SQLite database needs for a few more writes.
const FREE_BYTES: usize = 256 * 1024;

/// Fails with SQLSTATE 25006 in a session that cannot write, in one round trip.
const CHECK_READ_WRITE_SQL: &str = "DO $$ BEGIN IF current_setting('transaction_read_only')::boolean THEN \
     RAISE read_only_sql_transaction USING MESSAGE = 'the session is read-only'; END IF; END $$";
/// Updates a row that nothing else locks for long, and makes the server write a temporary file,
/// which needs free disk space. The SQLSTATE of a failure is stored in a setting of the
/// transaction, because diesel does not expose it in errors.
const WRITE_POSTGRES_SQL: &str = "SET LOCAL lock_timeout = '500ms'; SET LOCAL work_mem = '64kB'; \
     DO $$ BEGIN \
       UPDATE __diesel_schema_migrations SET run_on = run_on \
         WHERE version = (SELECT min(version) FROM __diesel_schema_migrations); \
       PERFORM count(*) FROM generate_series(1, 10000); \
       PERFORM set_config('doorward.write_check', '', true); \
     EXCEPTION WHEN OTHERS THEN \
       PERFORM set_config('doorward.write_check', SQLSTATE, true); \
     END $$";
/// Updates the same row. The commit does not wait for the disk.
const WRITE_SQLITE_SQL: &str = "PRAGMA busy_timeout = 0; PRAGMA synchronous = NORMAL; BEGIN IMMEDIATE; \
     UPDATE __diesel_schema_migrations SET run_on = run_on \
       WHERE version = (SELECT min(version) FROM __diesel_schema_migrations); \
     COMMIT";

/// The last result of the check, for all connections of a database.
#[derive(Default)]
pub(crate) struct WriteCheck {
    last: Mutex<Option<Outcome>>,
}

#[derive(Clone)]
struct Outcome {
    at: Instant,
    failure: Option<Error>,
}

impl WriteCheck {
    /// Records a failure of other work, so that the next readiness probe reports it immediately.
    pub(crate) fn record_failure(&self, failure: Error) {
        self.set(Some(failure));
    }

    /// Writes, or returns the last result if it is recent enough.
    ///
    /// # Errors
    /// [`Error::ReadOnly`], [`Error::DiskFull`] and other database errors.
    pub(crate) fn run(
        &self,
        connection: &mut AnyConnection,
        url: &DatabaseUrl,
    ) -> Result<(), Error> {
        // Checked every time and without the cache: the connections of the pool can lead to
        // different servers, and some of these can be read-only.
        if let AnyConnection::Postgres(connection) = connection {
            connection.batch_execute(CHECK_READ_WRITE_SQL)?;
        }
        let last = self
            .last
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        if let Some(Outcome { at, failure }) = last {
            let interval = if failure.is_some() {
                FAILING_INTERVAL
            } else {
                INTERVAL
            };
            if at.elapsed() < interval {
                return failure.map_or(Ok(()), Err);
            }
        }
        let checked = match (connection, url) {
            (AnyConnection::Postgres(connection), _) => write_postgres(connection),
            (AnyConnection::Sqlite(connection), DatabaseUrl::Sqlite(path)) => {
                write_sqlite(connection, path)
            }
            (AnyConnection::Sqlite(_), DatabaseUrl::Postgres(_)) => Ok(()),
        };
        self.set(checked.as_ref().err().cloned());
        checked
    }

    fn set(&self, failure: Option<Error>) {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(Outcome {
            at: Instant::now(),
            failure,
        });
    }
}

fn write_postgres(connection: &mut diesel::PgConnection) -> Result<(), Error> {
    #[derive(QueryableByName)]
    struct Row {
        #[diesel(sql_type = Text)]
        sqlstate: String,
    }
    let row: Row = connection.build_transaction().run(|connection| {
        connection.batch_execute(WRITE_POSTGRES_SQL)?;
        sql_query("SELECT current_setting('doorward.write_check') AS sqlstate")
            .get_result(connection)
    })?;
    match row.sqlstate.as_str() {
        "25006" => Err(Error::ReadOnly("SQLSTATE 25006".to_owned())),
        "53100" => Err(Error::DiskFull("SQLSTATE 53100".to_owned())),
        "58030" => Err(Error::Unavailable(
            "an I/O error of the server, SQLSTATE 58030".to_owned(),
        )),
        // The write succeeded, or it failed for a reason that does not concern other writes, such
        // as a lock or a missing privilege.
        _ => Ok(()),
    }
}

fn write_sqlite(connection: &mut diesel::SqliteConnection, path: &Path) -> Result<(), Error> {
    write_file(path)?;
    let written = connection.batch_execute(WRITE_SQLITE_SQL);
    if written.is_err() {
        // This fails if the transaction has not begun or SQLite has ended it, which is fine.
        let _ = connection.batch_execute("ROLLBACK");
    }
    connection.batch_execute(&format!(
        "PRAGMA busy_timeout = {BUSY_TIMEOUT}; PRAGMA synchronous = FULL"
    ))?;
    match written {
        // Another connection is writing, so writes succeed.
        Err(error) if is_sqlite_locked(&error) => Ok(()),
        written => Ok(written?),
    }
}

/// Writes and deletes a file next to the database. A small write to SQLite can succeed on a full
/// disk, because it fits into space that the files of the database already have.
fn write_file(database: &Path) -> Result<(), Error> {
    let mut path = database.as_os_str().to_owned();
    path.push("-write-check");
    let path = Path::new(&path);
    let written = File::create(path).and_then(|mut file| file.write_all(&[0; FREE_BYTES]));
    let removed = fs::remove_file(path);
    written.and(removed).map_err(|error| from_io_error(&error))
}

fn from_io_error(error: &io::Error) -> Error {
    let kind = error.kind();
    if matches!(
        kind,
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge
    ) {
        Error::DiskFull(error.to_string())
    } else if kind == ErrorKind::ReadOnlyFilesystem {
        Error::ReadOnly(error.to_string())
    } else {
        Error::Unavailable(format!("can't write a file next to the database: {error}"))
    }
}
