//! What auth refuses, in its own words.

use std::time::Duration;

use doorward_domain::ErrorCode;
use doorward_proto::Failure;

use crate::sealing::SealError;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Storage(#[from] doorward_storage::Error),
    #[error(transparent)]
    Seal(#[from] SealError),
    /// Wrong password, no such user, no password, deactivated meanwhile: told apart by nothing.
    #[error("unknown user or wrong password")]
    UnknownUser,
    #[error("the token is not accepted")]
    TokenRefused,
    #[error("too many failed logins: the next may be tried in {0:?}")]
    Throttled(Duration),
    #[error("too many passwords are being checked")]
    HashQueueFull,
    #[error("the password has fewer than {0} characters")]
    PasswordTooShort(usize),
    #[error("the password has more than {0} characters")]
    PasswordTooLong(usize),
    #[error("the password is empty")]
    PasswordInvalid,
    #[error("{0}")]
    UnusableHash(&'static str),
    #[error("no such key")]
    KeyNotFound,
    #[error("the active key can't be retired: rotate first")]
    KeyActive,
    #[error("{0}")]
    Internal(&'static str),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let validation = |reason| Self::new(ErrorCode::Validation).with_info("password", reason);
        match error {
            Error::Storage(doorward_storage::Error::Unavailable(_)) => {
                tracing::warn!(%error, "auth's database is unavailable");
                Self::unavailable()
            }
            Error::Storage(_) | Error::Seal(_) | Error::Internal(_) => {
                tracing::error!(%error, "auth failed");
                Self::new(ErrorCode::Internal)
            }
            Error::UnknownUser => Self::new(ErrorCode::UnknownUser),
            Error::TokenRefused => Self::new(ErrorCode::Unauthenticated),
            Error::Throttled(wait) => Self::new(ErrorCode::Throttled).with_retry_after(wait),
            Error::HashQueueFull => Self::unavailable(),
            Error::PasswordTooShort(_) => validation("weak"),
            Error::PasswordTooLong(_) => validation("too_long"),
            Error::PasswordInvalid | Error::UnusableHash(_) => validation("invalid"),
            Error::KeyNotFound => Self::new(ErrorCode::Unprocessable).with_info("reason", "key_not_found"),
            Error::KeyActive => Self::new(ErrorCode::Unprocessable).with_info("reason", "key_active"),
        }
    }
}
