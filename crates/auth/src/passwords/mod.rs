//! Passwords: rules for new ones, hashes, and the pool of threads that computes them. Nothing here
//! knows logins or tokens, except that a new password revokes the tokens of its user.

pub(crate) mod credentials;
pub(crate) mod hashing;
pub(crate) mod password;
pub(crate) mod strength;
