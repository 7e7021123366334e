//! TODO tokens

pub(crate) mod forged;
pub(crate) mod inactive_callers;
pub(crate) mod reseal;
pub(crate) mod sessions;
pub(crate) mod signing_keys;
pub(crate) mod verify;
