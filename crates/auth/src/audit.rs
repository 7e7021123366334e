//! The audit trail: what happened to whose access, by whom, from where. Rows are only ever added, and hold no secrets:
//! no password, no key, no token, and no username as typed, for people type passwords there.

use doorward_domain::{Gid, Timestamp};
use doorward_mail::GivenUpMail;
use doorward_storage::{AnyConnection, Database};

use crate::{Error, store};

macro_rules! actions {
    ($($(#[$doc:meta])* $variant:ident = $word:literal),+ $(,)?) => {
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Action { $($(#[$doc])* $variant),+ }

        impl Action {
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }
        }
    };
}

actions! {
    /// With a password.
    VerifiedLogin = "login",
    LoginFailed = "login_failed",
    /// The first attempt that a wait of the throttle refuses; the others in the same wait are not told of.
    LoginThrottled = "login_throttled",
    /// With an API key.
    ApiLogin = "api_login",
    ApiLoginFailed = "api_login_failed",
    ApiLoginThrottled = "api_login_throttled",
    Logout = "logout",
    LogoutEverywhere = "logout_everywhere",
    PasswordChanged = "password_changed",
    /// Of these, the first step: a code is mailed. An address without an account has no user.
    SignupRequested = "signup_requested",
    PasswordResetRequested = "password_reset_requested",
    EmailChangeRequested = "email_change_requested",
    PendingSignup = "signup",
    PasswordReset = "password_reset",
    EmailChanged = "email_changed",
    /// Wrong, used or expired.
    InvalidCode = "code_refused",
    /// With what stood in the way.
    MailGivenUp = "mail_given_up",
    /// The service ended tokens because of what happened to their user.
    TokensRevoked = "tokens_revoked",
    ApiKeyCreated = "apikey_created",
    /// Shown again to its owner.
    ApiKeyRead = "apikey_read",
    ApiKeyRotated = "apikey_rotated",
    ApiKeyActivated = "apikey_activated",
    ApiKeyDeactivated = "apikey_deactivated",
    ApiKeyDeleted = "apikey_deleted",
    /// An administrator created the user. The next three are actions of administrators too.
    UserCreated = "user_created",
    /// Username, address or name, by an administrator.
    UserUpdated = "user_updated",
    UserActivated = "user_activated",
    UserDeactivated = "user_deactivated",
    /// The waits of the login throttle for the user's name were ended by an administrator.
    UserUnblocked = "user_unblocked",
    /// By an administrator or by the user.
    UserDeleted = "user_deleted",
    /// An invited user declined, or the holder of the emailed link.
    InvitationDeclined = "invitation_declined",
    SigningKeyRotated = "signing_key_rotated",
    SigningKeyRetired = "signing_key_retired",
    MasterKeyReplaced = "master_key_replaced",
    /// The token of a client, with its name, scopes and projects; the same for the next.
    ServiceTokenCreated = "service_token_created",
    ServiceTokenRevoked = "service_token_revoked",
}

/// Who did something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Actor {
    /// The service itself, or somebody who has not proved who they are.
    Service,
    /// An administrator at the command line.
    CommandLine,
    User(Gid),
}

impl Actor {
    pub(crate) fn to_text(self) -> Option<String> {
        match self {
            Self::Service => None,
            Self::CommandLine => Some("command line".to_owned()),
            Self::User(gid) => Some(gid.to_string()),
        }
    }
}

/// By whom and from where.
#[derive(Debug, Clone)]
pub struct Origin {
    pub actor: Actor,
    /// An IP address.
    pub address: Option<String>,
    /// The server's own id of the request.
    pub request_id: Option<String>,
    /// The id that the client sent with the request: anything that the client likes.
    pub client_request_id: Option<String>,
}

impl Origin {
    #[must_use]
    pub const fn command_line() -> Self {
        Self {
            actor: Actor::CommandLine,
            address: None,
            request_id: None,
            client_request_id: None,
        }
    }

    pub(crate) const fn internal() -> Self {
        Self {
            actor: Actor::Service,
            address: None,
            request_id: None,
            client_request_id: None,
        }
    }

    /// The same, by somebody who has proved who they are.
    pub(crate) fn with_user(&self, user: Gid) -> Self {
        Self {
            actor: Actor::User(user),
            ..self.clone()
        }
    }
}

/// What is to be written down.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) action: Action,
    /// Whom it is about, when that is known.
    pub(crate) user: Option<Gid>,
    pub(crate) project: Option<Gid>,
    pub(crate) origin: Origin,
    pub(crate) detail: Option<String>,
}

impl Entry {
    pub(crate) fn new(action: Action, user: Option<Gid>, origin: &Origin) -> Self {
        Self {
            action,
            user,
            project: None,
            origin: origin.clone(),
            detail: None,
        }
    }

    pub(crate) fn with_project(self, project: Option<Gid>) -> Self {
        Self { project, ..self }
    }

    pub(crate) fn with_detail(self, detail: &str) -> Self {
        Self {
            detail: Some(detail.to_owned()),
            ..self
        }
    }
}

/// Writes it down within the caller's transaction.
pub(crate) fn record(
    connection: &mut AnyConnection,
    entry: Entry,
    now: Timestamp,
) -> Result<(), Error> {
    Ok(store::audit::insert(connection, entry, now)?)
}

/// Writes down that a mail is not sent any more.
pub(crate) fn record_given_up_mail(
    connection: &mut AnyConnection,
    mail: &GivenUpMail,
    now: Timestamp,
) -> doorward_storage::Result<()> {
    let entry = Entry::new(Action::MailGivenUp, mail.user, &Origin::internal());
    store::audit::insert(
        connection,
        entry.with_detail(&format!("{}: {}", mail.kind, mail.reason)),
        now,
    )
}

/// Writes down what was done elsewhere.
///
/// # Errors
/// Those of the database.
pub async fn record_action(
    database: &Database,
    action: Action,
    user: Gid,
    origin: Origin,
    now: Timestamp,
) -> Result<(), Error> {
    database
        .write(move |connection| record(connection, Entry::new(action, Some(user), &origin), now))
        .await
}

/// What was written down.
#[derive(Debug, Clone)]
pub struct Record {
    /// Grows with time, nearly: of two transactions at once, either may come first.
    pub id: i64,
    pub at: Timestamp,
    pub action: String,
    pub user: Option<Gid>,
    /// A gid, or `command line`.
    pub actor: Option<String>,
    pub project: Option<Gid>,
    pub address: Option<String>,
    pub request_id: Option<String>,
    pub client_request_id: Option<String>,
    pub detail: Option<String>,
}

#[derive(Debug, Clone, Default)]
pub struct Filter {
    pub user: Option<Gid>,
    pub action: Option<String>,
}

/// A page in the order of time, after the moment and id of the last record of the page before.
///
/// # Errors
/// Those of the database.
pub async fn list(
    database: &Database,
    filter: &Filter,
    after: (Timestamp, i64),
    limit: i64,
) -> Result<Vec<Record>, Error> {
    let filter = filter.clone();
    database
        .read_snapshot(move |connection| Ok(store::audit::list(connection, &filter, after, limit)?))
        .await
}
