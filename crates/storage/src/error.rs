//! Errors of the databases, classified once.
//!
//! diesel maps a few SQLSTATE codes and SQLite result codes to a [`DatabaseErrorKind`] and hides all others (diesel 2.4 is to
//! expose the SQLSTATE). What is left is classified without reading translated text:
//!
//! - PostgreSQL translates its messages (`lc_messages`), so they tell nothing. What diesel doesn't name is a state of the
//!   server: a lock or statement timeout (55P03, 57014), a deadlock (40P01), a full disk (53100), a lack of memory or
//!   connections (53200, 53300), an I/O error (58030). The one other kind is a statement that can't work (class 42). The
//!   statements are fixed and tested, so it means that the tables were changed or a privilege is missing, which an operator
//!   can repair as well.
//! - SQLite's messages for result codes are constants of the library that is compiled in; it has no translations. A test
//!   compares them with what SQLite reports.

use std::cell::Cell;

use diesel::result::{ConnectionError, DatabaseErrorKind, Error as Diesel};

use crate::AnyConnection;

pub type Result<T> = std::result::Result<T, Error>;

#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// The database is busy for too long, or no connection is free: try again later.
    #[error("database unavailable: {0}")]
    Unavailable(String),
    /// The connection is lost, or can't be made.
    #[error("no connection to the database: {0}")]
    Disconnected(String),
    /// The database accepts no writes, such as a standby after a failover.
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
    /// Nothing but another import may use the database.
    #[error("an import into the database was not completed: run `doorward import` again")]
    ImportIncomplete,
    #[error("migration failed: {0}")]
    Migration(String),
    /// The database can't be used as it is set up.
    #[error("{0}")]
    Incompatible(String),
    /// A stored value that its own type rejects, or a query that can't work: a bug.
    #[error("database error: {0}")]
    Other(String),
}

impl Error {
    /// Whether the same work may succeed later.
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

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Backend {
    Postgres,
    Sqlite,
}

impl Backend {
    pub(crate) const fn for_connection(connection: &AnyConnection) -> Self {
        match connection {
            AnyConnection::Postgres(_) => Self::Postgres,
            AnyConnection::Sqlite(_) => Self::Sqlite,
        }
    }
}

thread_local! {
    /// The database that this thread works with: an error of diesel doesn't tell which one reported it.
    static BACKEND: Cell<Backend> = const { Cell::new(Backend::Sqlite) };
    /// Why the work on this thread couldn't write, if that is so. It is needed after the error has become one of a service.
    static WRITE_FAILURE: Cell<Option<Error>> = const { Cell::new(None) };
}

/// To be called before any work with a connection: work stays on its thread.
pub(crate) fn start_work(backend: Backend) {
    BACKEND.set(backend);
    WRITE_FAILURE.set(None);
}

/// Returns [`Error::ReadOnly`] or [`Error::DiskFull`] if one occurred since [`begin_work`].
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
        // 40001.
        Error::Unavailable(text)
    } else if *kind == Kind::ReadOnlyTransaction {
        // 25006.
        Error::ReadOnly(text)
    } else if matches!(kind, Kind::ClosedConnection | Kind::UnableToSendCommand) {
        // Class 08, and what the server reports before it closes the connection: 57P01, 57P02, 57P03.
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

pub(crate) fn is_sqlite_locked(error: &Diesel) -> bool {
    matches!(error, Diesel::DatabaseError(_, information) if information.message() == SQLITE_LOCKED)
}

/// Some messages go on with the name of a table.
fn classify_sqlite(message: &str, text: String) -> Error {
    /// `sqlite3_errstr` of `SQLITE_BUSY`, `SQLITE_LOCKED`, `SQLITE_PROTOCOL`, `SQLITE_IOERR`, `SQLITE_CANTOPEN`,
    /// `SQLITE_NOMEM` and `SQLITE_INTERRUPT`.
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
