//! Memberships: transitions, changes of status, invitations, placeholder accounts of invited
//! addresses, and what members see of each other.

pub(crate) mod access;
pub(crate) mod invitations;
pub(crate) mod placeholders;
pub(crate) mod status_changes;
pub(crate) mod transitions;
pub(crate) mod views;
