//! Transitions of memberships as a pure function: the status before and a step give the status
//! after, or an error. It knows neither the database nor the permissions of the caller.
//! `docs/membership.md` has the whole table, and a test compares it with this function.
//!
//! Example: the steps of one user in one project, in this order.
//!
//! | status before | step | result | effect |
//! | --- | --- | --- | --- |
//! | none | `Invite` | `Ok(Some(Invited))` | the membership is inserted |
//! | invited | `Decline` | `Ok(Some(Declined))` | the status is updated |
//! | declined | `Accept` | `Err(InviteInvalid)` | none: the owner must invite the user again |
//! | declined | `Invite` | `Ok(Some(Invited))` | the status is updated |
//! | invited | `Accept` | `Ok(Some(Active))` | the status is updated |
//! | active | `Activate` | `Ok(Some(Active))` | none: the status is the same |
//! | active | `Leave` | `Ok(None)` | the membership is deleted |
//! | none | `Leave` | `Err(NotAMember)` | none |

use doorward_domain::{MembershipStatus, Role};

use crate::Error;

/// An action that changes the status of a membership.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    Invite,
    Resend,
    Accept,
    Decline,
    Leave,
    Remove,
    Deactivate,
    Activate,
}

/// Status after a step; `None` if the membership is deleted.
type NextStatus = Option<MembershipStatus>;

/// Returns the status of a membership after a step. `current` is `None` if the user has no
/// membership in the project.
///
/// # Errors
/// The reason why a membership in this state does not allow the step.
pub(crate) fn next_status(
    current: Option<(MembershipStatus, Role)>,
    step: Step,
) -> Result<NextStatus, Error> {
    use MembershipStatus as M;
    let Some((status, role)) = current else {
        return match step {
            Step::Invite => Ok(Some(M::Invited)),
            Step::Accept | Step::Decline => Err(Error::NotInvited),
            Step::Resend | Step::Leave | Step::Remove | Step::Deactivate | Step::Activate => {
                Err(Error::NotAMember)
            }
        };
    };
    // The role is checked first: the membership of the owner is always active, and that of an API
    // user changes only in `users/api_users.rs`. Some steps of an owner pass, because they end in
    // `AlreadyMember` below, as they do for every active member. An API user cannot be invited.
    match (role, step) {
        (Role::Member, _)
        | (_, Step::Invite | Step::Accept | Step::Decline)
        | (Role::Owner, Step::Resend) => {}
        (Role::Api, _) => return Err(Error::UserIsApiUser),
        (Role::Owner, Step::Leave | Step::Remove | Step::Deactivate | Step::Activate) => {
            return Err(Error::UserIsOwner);
        }
    }
    match (step, status) {
        // To invite a user again is the same as to resend the invitation.
        (Step::Invite | Step::Resend, M::Invited | M::Declined) => Ok(Some(M::Invited)),
        (Step::Invite | Step::Resend, M::Inactive) => Err(Error::MembershipInactive),
        (Step::Invite | Step::Resend | Step::Accept | Step::Decline, M::Active) => {
            Err(Error::AlreadyMember)
        }
        (Step::Accept, M::Invited) => Ok(Some(M::Active)),
        (Step::Accept, M::Declined | M::Inactive) => Err(Error::InviteInvalid),
        (Step::Decline, M::Invited) => Ok(Some(M::Declined)),
        (Step::Decline, M::Declined | M::Inactive) => Err(Error::NotInvited),
        (Step::Leave, M::Active) | (Step::Remove, _) => Ok(None),
        (Step::Leave, M::Invited | M::Declined | M::Inactive) => Err(Error::NotAMember),
        // Both steps can be repeated, so that a client may retry them.
        (Step::Deactivate, M::Active | M::Inactive) => Ok(Some(M::Inactive)),
        (Step::Activate, M::Active | M::Inactive) => Ok(Some(M::Active)),
        (Step::Deactivate | Step::Activate, M::Invited | M::Declined) => {
            Err(Error::MemberNotActive)
        }
    }
}

#[cfg(test)]
mod tests {
    use doorward_rpc::RpcError;

    use super::*;

    const DOCS: &str = include_str!("../../../../docs/membership.md");

    /// Returns the header and the rows of the first table, without the separator line.
    fn table() -> (Vec<&'static str>, Vec<Vec<&'static str>>) {
        let cells = |line: &'static str| {
            line.trim_matches('|')
                .split('|')
                .map(str::trim)
                .collect::<Vec<_>>()
        };
        let mut lines = DOCS
            .lines()
            .skip_while(|line| !line.starts_with('|'))
            .take_while(|line| line.starts_with('|'));
        let head = cells(lines.next().unwrap());
        (head, lines.skip(1).map(cells).collect())
    }

    fn state(row: &str) -> Option<(MembershipStatus, Role)> {
        match row {
            "none" => None,
            "owner" => Some((MembershipStatus::Active, Role::Owner)),
            "API user" => Some((MembershipStatus::Active, Role::Api)),
            status => Some((status.parse().unwrap(), Role::Member)),
        }
    }

    fn step(column: &str) -> Step {
        match column {
            "invite" => Step::Invite,
            "resend_invite" => Step::Resend,
            // `init_invite` changes nothing, but succeeds only if the invitation can be accepted.
            "accept_invite" | "init_invite" => Step::Accept,
            "account/decline_invite" | "decline_invite" => Step::Decline,
            "leave_project" => Step::Leave,
            "remove" => Step::Remove,
            "deactivate" => Step::Deactivate,
            "activate" => Step::Activate,
            other => panic!("unknown step: {other}"),
        }
    }

    fn cell(column: &str, row: &str) -> String {
        match next_status(state(row), step(column)) {
            Ok(_) if column == "init_invite" => row.to_owned(),
            Ok(None) => "none".to_owned(),
            Ok(Some(status)) => status.to_string(),
            Err(Error::InviteInvalid) => "1004".to_owned(),
            Err(error) => format!("422 {}", RpcError::from(error).info["reason"]),
        }
    }

    #[test]
    fn documented_transitions_match() {
        let (head, rows) = table();
        assert_eq!((head.len(), rows.len()), (11, 7));
        for row in rows {
            for (column, expected) in head.iter().zip(&row).skip(1) {
                let found = cell(column, row[0]);
                // These calls fail before they reach the rule: an API user has no name by which it
                // could be invited, and no account. The rule must reject them as well.
                let is_rejected_earlier = ["403", "-"].contains(expected);
                assert!(
                    if is_rejected_earlier {
                        found.starts_with("422 ")
                    } else {
                        found == *expected
                    },
                    "{} {column}: {found}",
                    row[0]
                );
            }
        }
    }
}
