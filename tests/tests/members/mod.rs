//! Tests of memberships: transitions, invitations, permissions, visibility and rate limits.

pub(crate) mod calls;
pub(crate) mod invitations;
pub(crate) mod isolation;
pub(crate) mod rate_limits;
pub(crate) mod transitions;
pub(crate) mod views;
