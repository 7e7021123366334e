//! Errors of both databases, classified once for all services.
//!
//! diesel maps a few SQLSTATE codes and SQLite result codes to a [`DatabaseErrorKind`] and hides
//! the others (diesel 2.4 is expected to expose the SQLSTATE). The rest is classified without
//! reading translated text:
//!
//! - PostgreSQL translates its messages (`lc_messages`), so they cannot be used. Most errors that
//!   diesel does not name are a state of the server: a lock or statement timeout (55P03, 57014), a
//!   deadlock (40P01), a full disk (53100), a lack of memory or connections (53200, 53300), an I/O
//!   error (58030). The only other ones are invalid statements (class 42). Our statements are fixed
//!   and tested, so such an error means that tables were changed or a privilege is missing, which
//!   an operator can repair. So all of them count as unavailable.
//! - SQLite's messages for result codes are constants of the library that is compiled in, without
//!   translations. A test compares them with the messages that SQLite reports.

use std::cell::Cell;

use diesel::result::{ConnectionError, DatabaseErrorKind, Error as Diesel};

/// Result of work with a database.
pub type Result<T> = std::result::Result<T, Error>;

/// Error of a database.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// The database was busy for too long, or no connection was free. The work can be tried again
    /// later.
    #[error("database unavailable: {0}")]
    Unavailable(String),
    /// The connection was lost or could not be opened.
    #[error("no connection to the database: {0}")]
    Disconnected(String),
    /// The database accepts no writes, for example because it is a standby after a failover.
    #[error("the database is read-only: {0}")]
    ReadOnly(String),
    #[error("the disk of the database is full: {0}")]
    DiskFull(String),
    /// A row with the same key exists.
    #[error("a row with the same key exists: {0}")]
    UniqueViolation(String),
    #[error(
        "the database has migrations that this release doesn't know ({0}): it belongs to a newer release"
    )]
    SchemaTooNew(String),
    #[error("the database lacks migrations ({0}): run `doorward migrate`, or start with --migrate")]
    SchemaOutdated(String),
    /// An import was interrupted. Only another import may use the database.
    #[error("an import into the database was not completed: run `doorward import` again")]
    ImportIncomplete,
    #[error("migration failed: {0}")]
    Migration(String),
    /// The setup of the database is not supported.
    #[error("{0}")]
    Incompatible(String),
    /// A stored value is malformed, or a query is invalid. This is a bug.
    #[error("database error: {0}")]
    Other(String),
}

impl Error {
    /// Returns whether the same work may succeed later.
    #[must_use]
    pub const fn is_unavailable(&self) -> bool {
        match self {
            Self::Unavailable(_)
            | Self::Disconnected(_)
            | Self::ReadOnly(_)
            | Self::DiskFull(_) => true,
            Self::UniqueViolation(_)
            | Self::SchemaTooNew(_)
            | Self::SchemaOutdated(_)
            | Self::ImportIncomplete
            | Self::Migration(_)
            | Self::Incompatible(_)
            | Self::Other(_) => false,
        }
    }
}

/// Kind of a database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Backend {
    Postgres,
    Sqlite,
}

thread_local! {
    /// Kind of the database that this thread works with. An error of diesel does not contain it.
    static BACKEND: Cell<Backend> = const { Cell::new(Backend::Sqlite) };
    /// Why work on this thread could not write, if that is so. A service may convert or drop the
    /// error before the database sees it, so it is recorded here.
    static WRITE_FAILURE: Cell<Option<Error>> = const { Cell::new(None) };
}

/// Prepares this thread for work with a connection. Must be called before any such work, which then
/// stays on the thread.
pub(crate) fn start_work(backend: Backend) {
    BACKEND.set(backend);
    WRITE_FAILURE.set(None);
}

/// Returns [`Error::ReadOnly`] or [`Error::DiskFull`] if one occurred since [`start_work`].
pub(crate) fn take_write_failure() -> Option<Error> {
    WRITE_FAILURE.take()
}

impl From<Diesel> for Error {
    fn from(error: Diesel) -> Self {
        let error = classify(BACKEND.get(), &error);
        if matches!(error, Self::ReadOnly(_) | Self::DiskFull(_)) {
            WRITE_FAILURE.set(Some(error.clone()));
        }
        error
    }
}

fn classify(backend: Backend, error: &Diesel) -> Error {
    use DatabaseErrorKind as Kind;
    // The rollback failed as well; the error of the commit has the cause.
    if let Diesel::RollbackErrorOnCommit { commit_error, .. } = error {
        return classify(backend, commit_error);
    }
    let text = error.to_string();
    if matches!(error, Diesel::BrokenTransactionManager) {
        return Error::Disconnected(text);
    }
    let Diesel::DatabaseError(kind, information) = error else {
        return Error::Other(text);
    };
    if *kind == Kind::UniqueViolation {
        Error::UniqueViolation(text)
    } else if *kind == Kind::SerializationFailure {
        // SQLSTATE 40001.
        Error::Unavailable(text)
    } else if *kind == Kind::ReadOnlyTransaction {
        // SQLSTATE 25006.
        Error::ReadOnly(text)
    } else if matches!(kind, Kind::ClosedConnection | Kind::UnableToSendCommand) {
        // SQLSTATE class 08, and the codes that the server reports before it closes a connection:
        // 57P01, 57P02 and 57P03.
        Error::Disconnected(text)
    } else if *kind == Kind::Unknown {
        match backend {
            Backend::Postgres => Error::Unavailable(text),
            Backend::Sqlite => classify_sqlite(information.message(), text),
        }
    } else {
        Error::Other(text)
    }
}

/// `sqlite3_errstr` of `SQLITE_BUSY`.
const SQLITE_LOCKED: &str = "database is locked";

/// Returns whether another connection held the write lock of SQLite for too long.
pub(crate) fn is_sqlite_locked(error: &Diesel) -> bool {
    matches!(error, Diesel::DatabaseError(_, information) if information.message() == SQLITE_LOCKED)
}

/// Classifies an error of SQLite by its message. Some messages continue with the name of a table,
/// so only their beginning is compared.
fn classify_sqlite(message: &str, text: String) -> Error {
    /// `sqlite3_errstr` of `SQLITE_BUSY`, `SQLITE_LOCKED`, `SQLITE_PROTOCOL`, `SQLITE_IOERR`,
    /// `SQLITE_CANTOPEN`, `SQLITE_NOMEM` and `SQLITE_INTERRUPT`.
    const UNAVAILABLE: [&str; 7] = [
        SQLITE_LOCKED,
        "database table is locked",
        "locking protocol",
        "disk I/O error",
        "unable to open database file",
        "out of memory",
        "interrupted",
    ];
    /// `SQLITE_FULL`.
    const DISK_FULL: &str = "database or disk is full";
    /// `SQLITE_READONLY`.
    const READ_ONLY: &str = "attempt to write a readonly database";
    if message == DISK_FULL {
        Error::DiskFull(text)
    } else if message == READ_ONLY {
        Error::ReadOnly(text)
    } else if UNAVAILABLE
        .iter()
        .any(|unavailable| message.starts_with(unavailable))
    {
        Error::Unavailable(text)
    } else {
        Error::Other(text)
    }
}

impl From<ConnectionError> for Error {
    fn from(error: ConnectionError) -> Self {
        if let ConnectionError::CouldntSetupConfiguration(error) = error {
            return error.into();
        }
        Self::Disconnected(error.to_string())
    }
}

impl From<doorward_domain::Malformed> for Error {
    fn from(error: doorward_domain::Malformed) -> Self {
        Self::Other(format!("a stored value {error}"))
    }
}
