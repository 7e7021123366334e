//! Error codes that services send to each other. Each code has one row in the table to gRPC (`rpc`)
//! and one row in the table to HTTP (`gateway`).

use std::{collections::BTreeMap, fmt, str::FromStr};

use crate::malformed::Malformed;

/// Details that the caller receives with an error code, such as `{"username": "unavailable"}`.
pub type Info = BTreeMap<String, String>;

macro_rules! codes {
    ($($(#[$doc:meta])* $variant:ident = $word:literal),+ $(,)?) => {
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum ErrorCode { $($(#[$doc])* $variant),+ }

        impl ErrorCode {
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// Returns the word that stands for the code in messages between services.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }
        }

        impl FromStr for ErrorCode {
            type Err = Malformed;

            fn from_str(text: &str) -> Result<Self, Malformed> {
                match text {
                    $($word => Ok(Self::$variant),)+
                    _ => Err(Malformed("not an error code")),
                }
            }
        }
    };
}

codes! {
    /// A parameter is missing or has the wrong type or value.
    InvalidRequest = "INVALID_REQUEST",
    /// The token is missing or not accepted.
    Unauthenticated = "UNAUTHENTICATED",
    /// A login failed. The reason is not revealed, because it would show which users exist.
    UnknownUser = "UNKNOWN_USER",
    /// The caller is known, but is not allowed to make this call.
    Forbidden = "FORBIDDEN",
    NotFound = "NOT_FOUND",
    /// An entry does not exist, or its state does not allow the call; `reason` in the info says
    /// which.
    Unprocessable = "UNPROCESSABLE",
    /// The value of a field is not acceptable; the info has a reason for each field.
    Validation = "VALIDATION",
    /// The membership is not `invited` any more.
    InviteInvalid = "INVITE_INVALID",
    /// There were too many attempts or requests; the caller should try again later.
    Throttled = "THROTTLED",
    /// A peer, a database or a queue is not available now; the caller should try again soon.
    Unavailable = "UNAVAILABLE",
    /// An error of the server, such as a failed query; the request is not to blame.
    Internal = "INTERNAL",
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
