//! Authentication of callers: tokens in requests, their verification and renewal, and the trust
//! data from auth.

pub(crate) mod caller;
pub(crate) mod renewals;
pub(crate) mod sessions;
pub(crate) mod trust_store;
