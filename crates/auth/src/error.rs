//! What auth refuses, in its own words.

use std::time::Duration;

use doorward_domain::ErrorCode;
use doorward_rpc::RpcError;

use crate::{passwords::strength::Feedback, sealing::SealError};

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
    InvalidToken,
    #[error("too many attempts: the next may be made in {0:?}")]
    Throttled(Duration),
    #[error("too many passwords are being checked")]
    HashQueueFull,
    #[error("the password has fewer than {0} characters")]
    PasswordTooShort(usize),
    #[error("the password has more than {0} characters")]
    PasswordTooLong(usize),
    #[error("the password is empty")]
    PasswordInvalid,
    #[error("the password would be guessed soon")]
    PasswordWeak(Feedback),
    #[error("the current password is needed to change it")]
    CurrentPasswordMissing,
    #[error("that is not the current password")]
    CurrentPasswordWrong,
    #[error("not an email address")]
    EmailInvalid,
    /// Wrong, used, expired, tried too often, or given with something else than before.
    #[error("the code is not accepted")]
    InvalidCode,
    #[error("no such user, or no address to send a mail to")]
    UserNotFound,
    #[error("no mails are sent: set smtp_url and mail_from, or log_mails")]
    MailDisabled,
    #[error("{0}")]
    UnusableHash(&'static str),
    #[error("no such key")]
    KeyNotFound,
    #[error("the active key can't be retired: rotate first")]
    KeyIsActive,
    #[error("{0}")]
    Internal(&'static str),
}

impl From<Error> for RpcError {
    fn from(error: Error) -> Self {
        let validation = |field, reason| Self::new(ErrorCode::Validation).with_info(field, reason);
        let unprocessable =
            |reason| Self::new(ErrorCode::Unprocessable).with_info("reason", reason);
        match error {
            Error::Storage(ref storage) if storage.is_unavailable() => {
                tracing::warn!(%error, "auth's database is unavailable");
                Self::unavailable()
            }
            Error::Storage(_) | Error::Seal(_) | Error::Internal(_) => {
                tracing::error!(%error, "auth failed");
                Self::new(ErrorCode::Internal)
            }
            Error::UnknownUser => Self::new(ErrorCode::UnknownUser),
            Error::InvalidToken => Self::new(ErrorCode::Unauthenticated),
            Error::Throttled(wait) => Self::new(ErrorCode::Throttled).with_retry_after(wait),
            Error::HashQueueFull => Self::unavailable(),
            Error::PasswordTooShort(least) => validation("password", "weak")
                .with_info("feedback", &Feedback::for_short_password(least).to_json()),
            Error::PasswordWeak(feedback) => {
                validation("password", "weak").with_info("feedback", &feedback.to_json())
            }
            Error::PasswordTooLong(_) => validation("password", "too_long"),
            Error::PasswordInvalid | Error::UnusableHash(_) => validation("password", "invalid"),
            Error::CurrentPasswordMissing => Self::new(ErrorCode::InvalidRequest)
                .with_info("Missing parameter", "current_password"),
            Error::CurrentPasswordWrong => validation("current_password", "incorrect"),
            Error::EmailInvalid => validation("email", "invalid"),
            Error::InvalidCode => validation("verification_code", "incorrect"),
            Error::UserNotFound => unprocessable("user_not_found"),
            Error::MailDisabled => {
                tracing::warn!("{error}");
                Self::unavailable()
            }
            Error::KeyNotFound => unprocessable("key_not_found"),
            Error::KeyIsActive => unprocessable("key_active"),
        }
    }
}
