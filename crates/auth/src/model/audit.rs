//! Audit records: actions, actors and origins, and the conditions of a list.

use doorward_domain::{Gid, Timestamp};

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
    /// A login with a password.
    Login = "login",
    LoginFailed = "login_failed",
    /// The first attempt that the throttle rejected during a wait. Later ones in the same wait are
    /// not recorded.
    LoginThrottled = "login_throttled",
    /// A login with an API key.
    ApiLogin = "api_login",
    ApiLoginFailed = "api_login_failed",
    ApiLoginThrottled = "api_login_throttled",
    Logout = "logout",
    LogoutEverywhere = "logout_everywhere",
    PasswordChanged = "password_changed",
    /// The first step of a call in two steps, for which a code is mailed; the same for the next
    /// two. Without an account, the record has no user.
    SignupRequested = "signup_requested",
    PasswordResetRequested = "password_reset_requested",
    EmailChangeRequested = "email_change_requested",
    Signup = "signup",
    PasswordReset = "password_reset",
    EmailChanged = "email_changed",
    /// A code that was wrong, used or expired.
    CodeRejected = "code_refused",
    /// A mail that is not tried any more, with the reason.
    MailGivenUp = "mail_given_up",
    /// The service revoked the tokens of a user because of a change in the directory.
    TokensRevoked = "tokens_revoked",
    ApiKeyCreated = "apikey_created",
    /// An API key was returned to the owner of its project again.
    ApiKeyRead = "apikey_read",
    ApiKeyRotated = "apikey_rotated",
    ApiKeyActivated = "apikey_activated",
    ApiKeyDeactivated = "apikey_deactivated",
    ApiKeyDeleted = "apikey_deleted",
    /// An administrator created the user. The next three are actions of administrators too.
    UserCreated = "user_created",
    /// An administrator changed the username, address or name.
    UserUpdated = "user_updated",
    UserActivated = "user_activated",
    UserDeactivated = "user_deactivated",
    /// An administrator deleted the failed logins with the user's username.
    UserUnblocked = "user_unblocked",
    /// An administrator or the user deleted the user.
    UserDeleted = "user_deleted",
    /// An invitation was declined, by its user or by a person with the emailed link.
    InvitationDeclined = "invitation_declined",
    SigningKeyRotated = "signing_key_rotated",
    SigningKeyRetired = "signing_key_retired",
    MasterKeyReplaced = "master_key_replaced",
    /// A named service token, with its name, scopes and projects; its revocation has the name.
    ServiceTokenCreated = "service_token_created",
    ServiceTokenRevoked = "service_token_revoked",
}

/// The actor of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Actor {
    /// The service itself, or a client that is not authenticated.
    Service,
    /// An administrator at the command line.
    CommandLine,
    /// An authenticated user.
    User(Gid),
}

impl Actor {
    /// Returns the stored form. None for the service.
    pub(crate) fn to_text(self) -> Option<String> {
        match self {
            Self::Service => None,
            Self::CommandLine => Some("command line".to_owned()),
            Self::User(gid) => Some(gid.to_string()),
        }
    }
}

/// The actor of an event and the request that caused it.
#[derive(Debug, Clone)]
pub struct Origin {
    pub actor: Actor,
    /// IP address of the client.
    pub address: Option<String>,
    /// Id of the request that the server created.
    pub request_id: Option<String>,
    /// Id that the client sent with the request. It can be any text.
    pub client_request_id: Option<String>,
}

impl Origin {
    /// Returns the origin of an action of an administrator.
    #[must_use]
    pub const fn command_line() -> Self {
        Self {
            actor: Actor::CommandLine,
            address: None,
            request_id: None,
            client_request_id: None,
        }
    }

    /// Returns the origin of an action of the service itself.
    pub(crate) const fn internal() -> Self {
        Self {
            actor: Actor::Service,
            address: None,
            request_id: None,
            client_request_id: None,
        }
    }

    /// Returns the same origin with an authenticated user.
    pub(crate) fn with_user(&self, user: Gid) -> Self {
        Self {
            actor: Actor::User(user),
            ..self.clone()
        }
    }
}

/// An audit record that is not stored yet.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) action: Action,
    /// User that the event is about, if known.
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

/// A stored audit record.
#[derive(Debug, Clone)]
pub struct Record {
    /// Increases with time, except that two concurrent transactions can be in either order.
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

/// Position of a record in the list of all records. The default is before the first one.
#[derive(Debug, Clone, Copy, Default)]
pub struct RecordPosition {
    pub at: Timestamp,
    pub id: i64,
}

/// Conditions of a list; None matches all records.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    pub user: Option<Gid>,
    pub action: Option<String>,
}
