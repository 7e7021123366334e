//! What can go wrong with a database, sorted once.

use diesel::result::{DatabaseErrorKind, Error as Diesel};

pub type Result<T> = std::result::Result<T, Error>;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The database is away, busy for too long, or no connection is free: try again later.
    #[error("database unavailable: {0}")]
    Unavailable(String),
    /// A row with the same key exists.
    #[error("a row with the same key exists: {0}")]
    Unique(String),
    #[error("the database has migrations that this release doesn't know ({0}): it belongs to a newer release")]
    Newer(String),
    #[error("the database lacks migrations ({0}): run `doorward migrate`, or start with --migrate")]
    Outdated(String),
    #[error("migration failed: {0}")]
    Migration(String),
    /// A stored value that its own type refuses, or a query that can't work: our fault.
    #[error("database error: {0}")]
    Other(String),
}

/// What PostgreSQL and SQLite say, in errors of no special kind, when waiting may help.
const PASSING: &[&str] = &[
    "database is locked",
    "database table is locked",
    "terminating connection",
    "server closed the connection",
    "could not receive data from server",
    "could not send data to server",
    "SSL connection has been closed",
    "SSL SYSCALL error",
    "no connection to the server",
    "connection not open",
    "connection pointer is NULL",
    "the database system is",
    "statement timeout",
    "lock timeout",
    "deadlock detected",
    "too many clients",
    "remaining connection slots",
];

impl From<Diesel> for Error {
    fn from(error: Diesel) -> Self {
        use DatabaseErrorKind as Kind;
        let text = error.to_string();
        if let Diesel::DatabaseError(Kind::UniqueViolation, _) = error {
            return Self::Unique(text);
        }
        let is_passing = matches!(
            error,
            Diesel::DatabaseError(
                Kind::ClosedConnection
                    | Kind::UnableToSendCommand
                    | Kind::SerializationFailure
                    | Kind::ReadOnlyTransaction,
                _
            ) | Diesel::BrokenTransactionManager
                | Diesel::RollbackErrorOnCommit { .. }
        );
        if is_passing || PASSING.iter().any(|passing| text.contains(passing)) {
            Self::Unavailable(text)
        } else {
            Self::Other(text)
        }
    }
}

impl From<diesel::ConnectionError> for Error {
    fn from(error: diesel::ConnectionError) -> Self {
        Self::Unavailable(error.to_string())
    }
}

impl From<doorward_domain::Malformed> for Error {
    fn from(error: doorward_domain::Malformed) -> Self {
        Self::Other(format!("a stored value {error}"))
    }
}
