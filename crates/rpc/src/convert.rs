//! Conversions from the enums of `domain` to the generated ones, which have the same variants.

use doorward_domain::{MembershipStatus, ProjectStatus, Role, UserStatus};

use crate::directory::v1 as pb;

/// Implements `From` for two enums with the same variants. The match is exhaustive, so a new
/// variant must be added here.
macro_rules! same_variants {
    ($name:ident, $($variant:ident),+) => {
        impl From<$name> for pb::$name {
            fn from(value: $name) -> Self {
                match value { $($name::$variant => Self::$variant),+ }
            }
        }
    };
}

same_variants!(UserStatus, Active, Invited, Inactive, Deleted);
same_variants!(ProjectStatus, Active, Deleted);
same_variants!(MembershipStatus, Active, Invited, Declined, Inactive);
same_variants!(Role, Owner, Member, Api);
