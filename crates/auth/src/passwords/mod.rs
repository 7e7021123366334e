//! Passwords: rules for new ones, hashes, and the pool of threads that hashes them.

pub(crate) mod credentials;
pub(crate) mod hashing;
pub(crate) mod password;
pub(crate) mod strength;
