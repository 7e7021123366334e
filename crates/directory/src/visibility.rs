//! How much of a project somebody sees: pure. What is in sight of a user changes with this alone.

use doorward_domain::{MembershipStatus, ProjectStatus, Role};

use crate::model::Membership;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Visibility {
    None,
    /// The project itself and the own membership.
    Card,
    /// All memberships too, and the people behind those that are active or invited.
    Inside,
}

/// Deleted projects are seen by their owner alone, from without; a membership that is not active only while it is an
/// invitation.
pub(crate) fn of_project(project: ProjectStatus, membership: Option<&Membership>) -> Visibility {
    let Some(membership) = membership else {
        return Visibility::None;
    };
    match (project, membership.status) {
        (ProjectStatus::Deleted, _) if membership.role == Role::Owner => Visibility::Card,
        (ProjectStatus::Deleted, _)
        | (ProjectStatus::Active, MembershipStatus::Declined | MembershipStatus::Inactive) => {
            Visibility::None
        }
        (ProjectStatus::Active, MembershipStatus::Invited) => Visibility::Card,
        (ProjectStatus::Active, MembershipStatus::Active) => Visibility::Inside,
    }
}

/// Members see each other's memberships in every state, but only the people behind these.
pub(crate) fn is_user_visible(status: MembershipStatus) -> bool {
    match status {
        MembershipStatus::Active | MembershipStatus::Invited => true,
        MembershipStatus::Declined | MembershipStatus::Inactive => false,
    }
}
