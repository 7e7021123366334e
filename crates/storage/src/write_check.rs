//! Whether a database accepts writes, found out by writing: often enough for readiness, seldom enough to cost nothing.

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

use crate::{AnyConnection, DatabaseUrl, Error, connection::BUSY_TIMEOUT, error::is_sqlite_locked};

/// Between two checks while all is well.
const INTERVAL: Duration = Duration::from_secs(5);
/// Between two checks while writes fail.
const FAILING_INTERVAL: Duration = Duration::from_secs(1);
/// An SQLite database needs about this much to take a few more writes.
const FREE_BYTES: usize = 256 * 1024;

/// Fails with 25006 in a session that can't write, in one round trip.
const CHECK_READ_WRITE_SQL: &str = "DO $$ BEGIN IF current_setting('transaction_read_only')::boolean THEN \
     RAISE read_only_sql_transaction USING MESSAGE = 'the session is read-only'; END IF; END $$";
/// Updates a row that nothing else locks for long, and makes the server write a temporary file, which needs free space on
/// the disk. The SQLSTATE of a failure becomes a setting of the transaction, as errors don't show it.
const WRITE_POSTGRES_SQL: &str = "SET LOCAL lock_timeout = '500ms'; SET LOCAL work_mem = '64kB'; \
     DO $$ BEGIN \
       UPDATE __diesel_schema_migrations SET run_on = run_on \
         WHERE version = (SELECT min(version) FROM __diesel_schema_migrations); \
       PERFORM count(*) FROM generate_series(1, 10000); \
       PERFORM set_config('doorward.write_check', '', true); \
     EXCEPTION WHEN OTHERS THEN \
       PERFORM set_config('doorward.write_check', SQLSTATE, true); \
     END $$";
/// The commit doesn't wait for the disk.
const WRITE_SQLITE_SQL: &str = "PRAGMA busy_timeout = 0; PRAGMA synchronous = NORMAL; BEGIN IMMEDIATE; \
     UPDATE __diesel_schema_migrations SET run_on = run_on \
       WHERE version = (SELECT min(version) FROM __diesel_schema_migrations); \
     COMMIT";

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
    /// Notes a failure that was met elsewhere, so that readiness tells it at once.
    pub(crate) fn record_failure(&self, failure: Error) {
        self.set(Some(failure));
    }

    /// # Errors
    /// Those of the last check if that is recent, otherwise those of a new one: [`Error::ReadOnly`] and [`Error::DiskFull`]
    /// among others.
    pub(crate) fn run(
        &self,
        connection: &mut AnyConnection,
        url: &DatabaseUrl,
    ) -> Result<(), Error> {
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
        // Writes work, or something else is wrong with this one, such as a lock or a missing privilege.
        _ => Ok(()),
    }
}

fn write_sqlite(connection: &mut diesel::SqliteConnection, path: &Path) -> Result<(), Error> {
    write_file(path)?;
    let written = connection.batch_execute(WRITE_SQLITE_SQL);
    if written.is_err() {
        // Fails where the transaction has not begun, or SQLite has ended it.
        let _ = connection.batch_execute("ROLLBACK");
    }
    connection.batch_execute(&format!(
        "PRAGMA busy_timeout = {BUSY_TIMEOUT}; PRAGMA synchronous = FULL"
    ))?;
    match written {
        // Something else is writing, so writes work.
        Err(error) if is_sqlite_locked(&error) => Ok(()),
        written => Ok(written?),
    }
}

/// Small writes to SQLite may go to space that its files have already, and larger ones fail: so this asks for new space.
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
