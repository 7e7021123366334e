//! Stored requests for mailed codes.

use std::str::FromStr;

use doorward_domain::{Gid, Malformed, Timestamp};

/// The call in two steps for which a code is valid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    Signup,
    /// Password reset.
    PasswordReset,
    /// Change of the email address.
    EmailChange,
}

impl Purpose {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Signup => "signup",
            Self::PasswordReset => "reset",
            Self::EmailChange => "email",
        }
    }
}

impl FromStr for Purpose {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        [Self::Signup, Self::PasswordReset, Self::EmailChange]
            .into_iter()
            .find(|purpose| purpose.as_str() == text)
            .ok_or(Malformed("not a purpose of a code"))
    }
}

/// A stored request for a code.
#[derive(Debug)]
pub(crate) struct Code {
    /// SHA-256 of the validation code.
    pub(crate) validation_code_hash: String,
    pub(crate) purpose: Purpose,
    /// The account or mailbox that the request is about.
    pub(crate) subject: String,
    /// HMAC of both codes.
    pub(crate) codes_hmac: String,
    /// HMACs of the other values of the second step, such as the user and the address. One of them
    /// must match; with an empty list, no second step can succeed.
    pub(crate) binding_hmacs: Vec<String>,
    pub(crate) signup: Option<PendingSignup>,
    pub(crate) failed_attempts: i64,
    pub(crate) expires_at: Timestamp,
    /// Whether the account had logged in from the network of the request.
    pub(crate) is_from_known_network: bool,
}

/// Data of a signup, stored from its first step to its second.
#[derive(Debug)]
pub(crate) struct PendingSignup {
    /// Identifies the signup in the directory, so that a repeated call creates no second account.
    pub(crate) gid: Gid,
    pub(crate) password_hash: String,
}

/// The part of a valid request that decides whether a new one invalidates it.
#[derive(Debug)]
pub(crate) struct ValidRequest {
    /// Hash of the validation code.
    pub(crate) validation: String,
    pub(crate) is_from_known_network: bool,
    pub(crate) expires_at: Timestamp,
}
