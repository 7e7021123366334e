//! What the directory refuses, in its own words.

use doorward_domain::{DisplayName, ErrorCode, Malformed, Username};
use doorward_rpc::RpcError;

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
    /// Since the code for another one was asked for.
    #[error("the email address has changed meanwhile")]
    EmailChanged,
    #[error("the user still owns a project, perhaps a deleted one: transfer it first")]
    OwnsProjects,
    #[error("the user is not active")]
    UserNotActive,
    /// Deactivated, deleted or unknown: the token that named them is about to be revoked.
    #[error("the caller is not an active user")]
    CallerNotActive,
    /// Whether or not there is what they want to get at.
    #[error("the caller may not do this")]
    Forbidden,
    #[error("no API user of this project")]
    NotAnApiUser,
    #[error("an API user belongs to its own project")]
    UserIsApiUser,
    #[error("the user is a member already")]
    AlreadyMember,
    #[error("no such member of the project")]
    MemberNotFound,
    #[error("the user is no member")]
    NotAMember,
    #[error("the user is not invited")]
    NotInvited,
    /// Declined or deactivated since.
    #[error("the invitation is not open any more")]
    InviteInvalid,
    #[error("the member is deactivated")]
    MembershipInactive,
    #[error("the member has not accepted yet")]
    MemberNotActive,
    #[error("that can't be done to the owner of the project")]
    UserIsOwner,
    #[error("no mails are sent: set smtp_url and mail_from, or log_mails")]
    MailDisabled,
    #[error("the project is deleted already")]
    ProjectDeleted,
    #[error("the project is not deleted")]
    ProjectNotDeleted,
    #[error("the language is not in the global list")]
    UnknownLanguage,
    #[error("it is there already")]
    AlreadyInList,
    #[error("it is not there")]
    NotInList,
    #[error("the last one must stay")]
    LastInList,
    #[error("there are as many as there may be")]
    TooManyItems,
    /// Projects of a user, or memberships of a project.
    #[error("the limit is reached")]
    LimitReached,
    /// What it has missed is not kept any more.
    #[error("the cursor is older than what the feed keeps")]
    CursorExpired,
    #[error("no such picture was prepared")]
    MediaNotFound,
    #[error("{0} {1}")]
    Malformed(&'static str, Malformed),
}

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

fn storage_error(error: &doorward_storage::Error) -> RpcError {
    if error.is_unavailable() {
        tracing::warn!(%error, "the directory's database is unavailable");
        RpcError::unavailable()
    } else {
        tracing::error!(%error, "the directory's database failed");
        RpcError::new(ErrorCode::Internal)
    }
}
