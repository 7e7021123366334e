//! What becomes of a membership: pure. `docs/membership.md` has the whole table, and the test compares it.

use doorward_domain::{MembershipStatus, Role};

use crate::Error;

/// What somebody does to a membership.
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

/// What it is then; None: there is none any more.
type NextStatus = Option<MembershipStatus>;

/// # Errors
/// When the membership is in no state for this.
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

    /// The cells of the first table, without its head and its line.
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
            // Only looks at what may be accepted.
            "accept_invite" | "init_invite" => Step::Accept,
            "account/decline_invite" | "decline_invite" => Step::Decline,
            "leave_project" => Step::Leave,
            "remove" => Step::Remove,
            "deactivate" => Step::Deactivate,
            "activate" => Step::Activate,
            other => panic!("no step: {other}"),
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
                // Who can't be named, or has no account, doesn't get as far as the rule; which has nothing for them either.
                let is_before = ["403", "-"].contains(expected);
                assert!(
                    if is_before {
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
