//! How much of a project a user sees. Pure functions of the status of the project and the user's
//! membership; every query and feed event follows them.
//!
//! | project | membership | visibility |
//! | --- | --- | --- |
//! | active | active | full |
//! | active | invited | summary |
//! | active | declined or inactive | hidden |
//! | deleted | of the owner | summary |
//! | deleted | any other | hidden |

use doorward_domain::{MembershipStatus, ProjectStatus, Role};

use crate::model::Membership;

/// How much of a project a user sees. The order of the variants is significant: each sees more than
/// the one before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Visibility {
    Hidden,
    /// The project's public fields and the user's own membership.
    Summary,
    /// The whole project, all memberships, and the users of those that are active or invited.
    Full,
}

/// Returns how much of a project a user with this membership sees.
pub(crate) fn of_project(project: ProjectStatus, membership: Option<&Membership>) -> Visibility {
    let Some(membership) = membership else {
        return Visibility::Hidden;
    };
    match (project, membership.status) {
        (ProjectStatus::Deleted, _) if membership.role == Role::Owner => Visibility::Summary,
        (ProjectStatus::Deleted, _)
        | (ProjectStatus::Active, MembershipStatus::Declined | MembershipStatus::Inactive) => {
            Visibility::Hidden
        }
        (ProjectStatus::Active, MembershipStatus::Invited) => Visibility::Summary,
        (ProjectStatus::Active, MembershipStatus::Active) => Visibility::Full,
    }
}

/// Checks whether members see the user of a membership. They see the membership itself in any
/// status.
pub(crate) fn is_user_visible(status: MembershipStatus) -> bool {
    match status {
        MembershipStatus::Active | MembershipStatus::Invited => true,
        MembershipStatus::Declined | MembershipStatus::Inactive => false,
    }
}
