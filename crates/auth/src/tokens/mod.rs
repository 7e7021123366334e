//! Tokens: signing keys, issue and renewal, revocation, and the stream of trust data to other
//! services. Nothing here knows how a user was authenticated.

pub(crate) mod issue;
pub(crate) mod revocation;
pub(crate) mod signing_keys;
pub(crate) mod trust_store;
pub(crate) mod watch;
