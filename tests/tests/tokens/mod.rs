//! Tests of tokens: sessions, verification, forgery, signing keys and the master key.

pub(crate) mod forged;
pub(crate) mod inactive_callers;
pub(crate) mod reseal;
pub(crate) mod sessions;
pub(crate) mod signing_keys;
pub(crate) mod verify;
