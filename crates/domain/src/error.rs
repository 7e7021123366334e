//! The error codes that cross the lines between services. Each has one row in the table to gRPC (`proto`) and one in
//! the table to HTTP (`gateway`).

use std::{collections::BTreeMap, fmt, str::FromStr};

use crate::Malformed;

/// What the caller is told beside the code, such as `{"username": "unavailable"}`.
pub type Info = BTreeMap<String, String>;

macro_rules! codes {
    ($($(#[$doc:meta])* $variant:ident = $word:literal),+ $(,)?) => {
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum ErrorCode { $($(#[$doc])* $variant),+ }

        impl ErrorCode {
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The word by which the code travels.
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
    /// No token, or one that is not accepted.
    Unauthenticated = "UNAUTHENTICATED",
    /// A login failed; why, nobody is told.
    UnknownUser = "UNKNOWN_USER",
    /// A known caller who may not do this.
    Forbidden = "FORBIDDEN",
    NotFound = "NOT_FOUND",
    /// The thing named doesn't exist or is in no state for this; the info's `reason` says which.
    Unprocessable = "UNPROCESSABLE",
    /// A field's data is not acceptable; the info has a reason by field.
    Validation = "VALIDATION",
    /// The membership is not `invited` any more.
    InviteInvalid = "INVITE_INVALID",
    /// Too many attempts or requests; come back later.
    Throttled = "THROTTLED",
    /// A peer, a database or a queue can't serve this now; come back soon.
    Unavailable = "UNAVAILABLE",
    /// Our fault.
    Internal = "INTERNAL",
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
