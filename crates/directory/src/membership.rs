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
type Next = Option<MembershipStatus>;

/// # Errors
/// When the membership is in no state for this.
pub(crate) fn after(current: Option<(MembershipStatus, Role)>, step: Step) -> Result<Next, Error> {
    use MembershipStatus as M;
    let Some((status, role)) = current else {
        return match step {
            Step::Invite => Ok(Some(M::Invited)),
            Step::Accept | Step::Decline => Err(Error::NotInvited),
            Step::Resend | Step::Leave | Step::Remove | Step::Deactivate | Step::Activate => Err(Error::NotAMember),
        };
    };
    match (role, step) {
        (Role::Member, _) | (_, Step::Invite | Step::Accept | Step::Decline) | (Role::Owner, Step::Resend) => {}
        (Role::Api, _) => return Err(Error::ApiUser),
        (Role::Owner, Step::Leave | Step::Remove | Step::Deactivate | Step::Activate) => return Err(Error::Owner),
    }
    match (step, status) {
        (Step::Invite | Step::Resend, M::Invited | M::Declined) => Ok(Some(M::Invited)),
        (Step::Invite | Step::Resend, M::Inactive) => Err(Error::MemberInactive),
        (Step::Invite | Step::Resend | Step::Accept | Step::Decline, M::Active) => Err(Error::AlreadyMember),
        (Step::Accept, M::Invited) => Ok(Some(M::Active)),
        (Step::Accept, M::Declined | M::Inactive) => Err(Error::InviteInvalid),
        (Step::Decline, M::Invited) => Ok(Some(M::Declined)),
        (Step::Decline, M::Declined | M::Inactive) => Err(Error::NotInvited),
        (Step::Leave, M::Active) | (Step::Remove, _) => Ok(None),
        (Step::Leave, M::Invited | M::Declined | M::Inactive) => Err(Error::NotAMember),
        (Step::Deactivate, M::Active | M::Inactive) => Ok(Some(M::Inactive)),
        (Step::Activate, M::Active | M::Inactive) => Ok(Some(M::Active)),
        (Step::Deactivate | Step::Activate, M::Invited | M::Declined) => Err(Error::MemberNotActive),
    }
}
