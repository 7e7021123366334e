//! Attempts to log in, before their outcome is known, and the checks that all of them share.

use std::net::IpAddr;

use doorward_domain::{Gid, Timestamp};

use crate::model::{Origin, Revocation};

/// Dummy user, looked up if no user has the name, so that both cases take the same steps.
pub(crate) const DUMMY_USER: Gid = Gid::NIL;

/// An attempt to log in with a password.
pub(crate) struct PasswordAttempt {
    /// None if no user has the name.
    pub(crate) user: Option<Gid>,
    /// False if the directory does not allow the user to log in; the attempt then fails as one with
    /// a wrong password does.
    pub(crate) is_login_allowed: bool,
    /// Normalized as in the directory.
    pub(crate) username: String,
    pub(crate) password: String,
    /// Time at which the directory checked that the user may log in.
    pub(crate) checked_at: Timestamp,
    pub(crate) project: Option<Gid>,
    pub(crate) address: IpAddr,
    pub(crate) origin: Origin,
}

/// An attempt to log in with an API key.
pub(crate) struct ApiKeyAttempt {
    pub(crate) api_key: String,
    /// None if the user of the key is not allowed to log in to the project.
    pub(crate) user: Option<Gid>,
    pub(crate) project: Gid,
    pub(crate) checked_at: Timestamp,
    pub(crate) address: IpAddr,
    pub(crate) origin: Origin,
}

/// Returns whether a revocation happened at or after the check with which a login began.
pub(crate) fn is_revoked_since(revocation: Option<&Revocation>, checked_at: Timestamp) -> bool {
    revocation.is_some_and(|revocation| revocation.revoked_at >= checked_at)
}

/// Returns the earliest `auth_time`, in seconds, that the revocation does not cover.
pub(crate) fn not_before(revocation: Option<Revocation>) -> i64 {
    revocation.map_or(i64::MIN, |revocation| revocation.not_before_seconds)
}
