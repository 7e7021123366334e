//! Between the words of `domain` and the generated types.

use doorward_domain::{MembershipStatus, ProjectStatus, Role, UserStatus};

use crate::{Failure, directory::v1 as pb};

/// A field that the contract says is there.
///
/// # Errors
/// When it isn't.
pub fn required<T>(field: Option<T>, name: &str) -> Result<T, Failure> {
    field.ok_or_else(|| Failure::invalid(name))
}

/// What a peer of another version may send: an enum value that we don't know.
#[must_use]
pub fn unspecified(name: &str) -> Failure {
    Failure::invalid(name)
}

macro_rules! same_words {
    ($ours:ident, $theirs:ident, $($variant:ident),+) => {
        impl From<$ours> for pb::$theirs {
            fn from(value: $ours) -> Self {
                match value { $($ours::$variant => Self::$variant),+ }
            }
        }

        impl TryFrom<pb::$theirs> for $ours {
            type Error = Failure;

            fn try_from(value: pb::$theirs) -> Result<Self, Failure> {
                match value {
                    pb::$theirs::Unspecified => Err(unspecified(stringify!($theirs))),
                    $(pb::$theirs::$variant => Ok(Self::$variant)),+
                }
            }
        }
    };
}

same_words!(UserStatus, UserStatus, Active, Invited, Inactive, Deleted);
same_words!(ProjectStatus, ProjectStatus, Active, Deleted);
same_words!(MembershipStatus, MembershipStatus, Active, Invited, Declined, Inactive);
same_words!(Role, Role, Owner, Member, Api);
