//! From the words of `domain` to the generated types.

use doorward_domain::{MembershipStatus, ProjectStatus, Role, UserStatus};

use crate::directory::v1 as pb;

macro_rules! same_words {
    ($ours:ident, $($variant:ident),+) => {
        impl From<$ours> for pb::$ours {
            fn from(value: $ours) -> Self {
                match value { $($ours::$variant => Self::$variant),+ }
            }
        }
    };
}

same_words!(UserStatus, Active, Invited, Inactive, Deleted);
same_words!(ProjectStatus, Active, Deleted);
same_words!(MembershipStatus, Active, Invited, Declined, Inactive);
same_words!(Role, Owner, Member, Api);
