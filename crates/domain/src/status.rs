//! The states of users, projects and memberships, and the roles, by the words that the API uses.

use std::{fmt, str::FromStr};

use crate::Malformed;

macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($variant:ident = $word:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name { $($variant),+ }

        impl $name {
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl FromStr for $name {
            type Err = Malformed;

            fn from_str(text: &str) -> Result<Self, Malformed> {
                match text {
                    $($word => Ok(Self::$variant),)+
                    _ => Err(Malformed(concat!("not one of", $(" ", $word),+))),
                }
            }
        }
    };
}

words! {
    /// Only active users get a token.
    UserStatus { Active = "active", Invited = "invited", Inactive = "inactive", Deleted = "deleted" }
}
words! {
    ProjectStatus { Active = "active", Deleted = "deleted" }
}
words! {
    /// Only an active membership gives access.
    MembershipStatus { Active = "active", Invited = "invited", Declined = "declined", Inactive = "inactive" }
}
words! {
    Role { Owner = "owner", Member = "member", Api = "api" }
}
