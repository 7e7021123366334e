//! Errors of auth, and their conversion to gRPC errors. The rules use only these words; a status
//! code appears only here.

use std::time::Duration;

use doorward_domain::ErrorCode;
use doorward_rpc::RpcError;

use crate::{model::feedback::Feedback, sealing::SealError};

/// An error of a call.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Storage(#[from] doorward_storage::Error),
    #[error(transparent)]
    Seal(#[from] SealError),
    /// The password is wrong, or the user does not exist, has no password or was deactivated
    /// meanwhile. The response is the same in all cases.
    #[error("unknown user or wrong password")]
    UnknownUser,
    #[error("the token is not accepted")]
    InvalidToken,
    #[error("too many attempts; retry in {0:?}")]
    Throttled(Duration),
    #[error("too many passwords are being verified")]
    HashQueueFull,
    #[error("the password has fewer than {0} characters")]
    PasswordTooShort(usize),
    #[error("the password has more than {0} characters")]
    PasswordTooLong(usize),
    #[error("the password is empty")]
    PasswordInvalid,
    #[error("the password is easy to guess")]
    PasswordWeak(Feedback),
    #[error("the current password is required")]
    CurrentPasswordMissing,
    #[error("the current password is wrong")]
    CurrentPasswordWrong,
    #[error("the email address is malformed")]
    EmailInvalid,
    /// The code is wrong, used or expired, had too many failed attempts, or was sent with other
    /// values than those of the first step.
    #[error("the code is not accepted")]
    InvalidCode,
    #[error("the user does not exist or has no email address")]
    UserNotFound,
    #[error("no mails are sent; set smtp_url and mail_from, or log_mails")]
    MailDisabled,
    #[error("{0}")]
    UnusableHash(&'static str),
    #[error("the key does not exist")]
    KeyNotFound,
    #[error("the active key can't be retired; rotate the keys first")]
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
                tracing::warn!(%error, "the database of auth is unavailable");
                Self::unavailable()
            }
            Error::Storage(_) | Error::Seal(_) | Error::Internal(_) => {
                tracing::error!(%error, "a call to auth failed");
                Self::new(ErrorCode::Internal)
            }
            Error::UnknownUser => Self::new(ErrorCode::UnknownUser),
            Error::InvalidToken => Self::new(ErrorCode::Unauthenticated),
            Error::Throttled(wait) => Self::new(ErrorCode::Throttled).with_retry_after(wait),
            Error::HashQueueFull => Self::unavailable(),
            Error::PasswordTooShort(min_chars) => validation("password", "weak").with_info(
                "feedback",
                &Feedback::for_short_password(min_chars).to_json(),
            ),
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
