//! Permissions: which role allows which actions in a project. Pure functions without a database. A
//! test compares them with the table in `docs/security.md`.

use doorward_domain::{MembershipStatus, ProjectStatus, Role};

/// A group of actions in a project that a role allows or not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Permission {
    /// Log in to the project, and see it in full with its members.
    AccessProject,
    /// Change its name, time zone, languages, channels, orderings and fieldlists.
    EditProject,
    /// Create, see, change and delete API users and their keys.
    ManageApiUsers,
    /// Invite, deactivate and remove members, and set their rate limits.
    ManageMembers,
    /// Change its icon, delete, restore, purge and transfer it. Also while it is deleted.
    AdministerProject,
}

impl Permission {
    #[cfg(test)]
    const ALL: [Self; 5] = [
        Self::AccessProject,
        Self::EditProject,
        Self::ManageApiUsers,
        Self::ManageMembers,
        Self::AdministerProject,
    ];
}

/// Returns the role that gives access to a project: None unless both the membership and the project
/// are active.
pub(crate) fn active_role(
    project: ProjectStatus,
    membership: MembershipStatus,
    role: Role,
) -> Option<Role> {
    match (project, membership) {
        (ProjectStatus::Active, MembershipStatus::Active) => Some(role),
        (ProjectStatus::Deleted, _)
        | (
            _,
            MembershipStatus::Invited | MembershipStatus::Declined | MembershipStatus::Inactive,
        ) => None,
    }
}

/// Checks whether a role has a permission. None is a user without a role that gives access.
pub(crate) fn is_allowed(role: Option<Role>, permission: Permission) -> bool {
    match (permission, role) {
        (_, None) => false,
        (
            Permission::AccessProject | Permission::EditProject,
            Some(Role::Owner | Role::Member | Role::Api),
        ) => true,
        (
            Permission::ManageApiUsers | Permission::ManageMembers | Permission::AdministerProject,
            Some(role),
        ) => role == Role::Owner,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DOCS: &str = include_str!("../../../docs/security.md");

    #[test]
    fn documented_permissions_match() {
        let rows = Permission::ALL.map(|permission| {
            let roles = [Some(Role::Owner), Some(Role::Member), Some(Role::Api), None];
            let cells = roles.map(|role| {
                if is_allowed(role, permission) {
                    "yes"
                } else {
                    "no"
                }
            });
            format!("| `{permission:?}` | {} |\n", cells.join(" | "))
        });
        let table = format!(
            "| permission | owner | member | API user | other users |\n| --- | --- | --- | --- | --- |\n{}\n",
            rows.concat()
        );
        assert!(
            DOCS.contains(&table),
            "docs/security.md should have this table:\n\n{table}"
        );
    }

    #[test]
    fn only_active_membership_in_active_project_gives_a_role() {
        use MembershipStatus as M;
        for membership in [M::Active, M::Invited, M::Declined, M::Inactive] {
            assert_eq!(
                active_role(ProjectStatus::Deleted, membership, Role::Owner),
                None
            );
            let expected = (membership == M::Active).then_some(Role::Owner);
            assert_eq!(
                active_role(ProjectStatus::Active, membership, Role::Owner),
                expected
            );
        }
    }
}
