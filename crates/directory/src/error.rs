//! The errors of the directory in the terms of its rules, and their mapping to RPC errors. It does
//! not know HTTP.

use doorward_domain::{DisplayName, ErrorCode, Malformed, Username};
use doorward_rpc::RpcError;

/// An error of a rule or of the database.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Storage(#[from] doorward_storage::Error),
    #[error("no such user")]
    UserNotFound,
    #[error("no such project")]
    ProjectNotFound,
    #[error("the username is taken")]
    UsernameTaken,
    #[error("the gid is taken")]
    GidTaken,
    #[error("a username with @ must be the account's own email")]
    UsernameNotOwnEmail,
    /// It has changed since the verification code for another address was requested.
    #[error("the email address has changed meanwhile")]
    EmailChanged,
    #[error("the user still owns a project, perhaps a deleted one: transfer it first")]
    OwnsProjects,
    #[error("the user is not active")]
    UserNotActive,
    /// Deactivated, deleted or unknown: the token that names this user is about to be revoked.
    #[error("the caller is not an active user")]
    CallerNotActive,
    /// The error is the same if the requested entry does not exist, so that the caller cannot find
    /// out.
    #[error("the caller is not allowed to do this")]
    Forbidden,
    #[error("no API user of this project")]
    NotAnApiUser,
    #[error("an API user belongs to its own project")]
    UserIsApiUser,
    #[error("the user is a member already")]
    AlreadyMember,
    #[error("no such member of the project")]
    MemberNotFound,
    #[error("the user is not a member")]
    NotAMember,
    #[error("the user is not invited")]
    NotInvited,
    /// It was declined, or the membership was deactivated since.
    #[error("the invitation is not open any more")]
    InviteInvalid,
    #[error("the member is deactivated")]
    MembershipInactive,
    #[error("the member has not accepted yet")]
    MemberNotActive,
    #[error("this is not possible for the owner of the project")]
    UserIsOwner,
    #[error("no mails are sent: set smtp_url and mail_from, or log_mails")]
    MailDisabled,
    #[error("the project is deleted already")]
    ProjectDeleted,
    #[error("the project is not deleted")]
    ProjectNotDeleted,
    #[error("the language is not in the global list")]
    UnknownLanguage,
    #[error("the list has this entry already")]
    AlreadyInList,
    #[error("the list does not have this entry")]
    NotInList,
    #[error("the last entry of the list cannot be removed")]
    LastInList,
    #[error("the list has the maximum number of entries")]
    TooManyItems,
    /// The number of projects of a user, or of memberships of a project; see
    /// [`Limits`](crate::Limits).
    #[error("the limit is reached")]
    LimitReached,
    /// Rows after the cursor may have been deleted, so the client must call init again.
    #[error("the feed no longer has the rows after this cursor")]
    CursorExpired,
    #[error("no prepared picture has this name")]
    MediaNotFound,
    #[error("{0} {1}")]
    Malformed(&'static str, Malformed),
}

/// Reasons are part of the published API; the texts above are only for logs and the command line.
impl From<Error> for RpcError {
    fn from(error: Error) -> Self {
        let unprocessable =
            |reason| Self::new(ErrorCode::Unprocessable).with_info("reason", reason);
        let validation = |field, reason| Self::new(ErrorCode::Validation).with_info(field, reason);
        match error {
            Error::Storage(error) => storage_error(&error),
            Error::UserNotFound => unprocessable("user_not_found"),
            Error::ProjectNotFound => unprocessable("project_not_found"),
            Error::UsernameTaken => validation("username", "unavailable"),
            Error::GidTaken => validation("gid", "unavailable"),
            Error::UsernameNotOwnEmail => validation("username", "invalid"),
            Error::EmailChanged => validation("verification_code", "incorrect"),
            Error::OwnsProjects => unprocessable("owns_projects"),
            Error::UserNotActive => unprocessable("user_not_active"),
            Error::CallerNotActive => Self::new(ErrorCode::Unauthenticated),
            Error::Forbidden => Self::new(ErrorCode::Forbidden),
            Error::NotAnApiUser => unprocessable("not_an_api_user"),
            Error::UserIsApiUser => unprocessable("api_user"),
            Error::AlreadyMember => unprocessable("already_member"),
            Error::MemberNotFound => unprocessable("member_not_found"),
            Error::NotAMember => unprocessable("not_a_member"),
            Error::NotInvited => unprocessable("not_invited"),
            Error::InviteInvalid => Self::new(ErrorCode::InviteInvalid),
            Error::MembershipInactive => unprocessable("inactive"),
            Error::MemberNotActive => unprocessable("not_active"),
            Error::UserIsOwner => unprocessable("owner"),
            Error::MailDisabled => {
                tracing::warn!("{error}");
                Self::unavailable()
            }
            Error::ProjectDeleted => unprocessable("already_deleted"),
            Error::ProjectNotDeleted => unprocessable("not_deleted"),
            Error::UnknownLanguage => unprocessable("unknown_language"),
            Error::AlreadyInList => unprocessable("already_there"),
            Error::NotInList => unprocessable("not_there"),
            Error::LastInList => unprocessable("last_one"),
            Error::TooManyItems => unprocessable("too_many"),
            Error::LimitReached => unprocessable("limit_reached"),
            Error::CursorExpired => unprocessable("cursor_expired"),
            Error::MediaNotFound => unprocessable("media_not_found"),
            Error::Malformed(field, malformed) => {
                let is_too_long =
                    malformed == DisplayName::TOO_LONG || malformed == Username::TOO_LONG;
                validation(field, if is_too_long { "too_long" } else { "invalid" })
            }
        }
    }
}

/// Logs a database error, whose cause is never sent to clients.
fn storage_error(error: &doorward_storage::Error) -> RpcError {
    if error.is_unavailable() {
        tracing::warn!(%error, "the directory's database is unavailable");
        RpcError::unavailable()
    } else {
        tracing::error!(%error, "the directory's database failed");
        RpcError::new(ErrorCode::Internal)
    }
}
