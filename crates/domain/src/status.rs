//! Statuses of users, projects and memberships, and roles. The words are part of the HTTP API and
//! are stored in both databases.

use std::{fmt, str::FromStr};

use crate::malformed::Malformed;

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
    /// Status of a user. Only active users get a token.
    UserStatus {
        Active = "active",
        Invited = "invited",
        Inactive = "inactive",
        Deleted = "deleted",
    }
}
words! {
    /// Status of a project.
    ProjectStatus { Active = "active", Deleted = "deleted" }
}
words! {
    /// Status of a membership. Only an active membership gives access.
    MembershipStatus {
        Active = "active",
        Invited = "invited",
        Declined = "declined",
        Inactive = "inactive",
    }
}
words! {
    /// Role of a user in a project.
    Role { Owner = "owner", Member = "member", Api = "api" }
}
