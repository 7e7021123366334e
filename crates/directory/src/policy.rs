//! Who may do what in a project: pure. `docs/security.md` has the table, and the test compares it.

use doorward_domain::{MembershipStatus, ProjectStatus, Role};

/// What somebody wants to do in a project.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Permission {
    /// Start work in it: see it in full, and its members.
    AccessProject,
    /// Its name and time zone, its languages, channels, orderings and fieldlists.
    EditProject,
    /// Make, see, change and end API users and their keys.
    ManageApiUsers,
    /// Invite members, deactivate and remove them, limit them.
    ManageMembers,
    /// Its icon, its end, and who owns it. Also while it is deleted.
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

/// What somebody is in a project, as far as it gives access: nothing, while they are no active member or the project is not
/// active.
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

pub(crate) fn is_allowed(standing: Option<Role>, deed: Permission) -> bool {
    match (deed, standing) {
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
