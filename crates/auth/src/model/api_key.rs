//! A stored API key, and the lock of its row.

use std::time::Duration;

use doorward_domain::{Gid, Timestamp};

/// Precision of the time of the last use. A write for every use would cost more than the login.
const LAST_USE_PRECISION: Duration = Duration::from_secs(3600);

/// A stored API key.
#[derive(Debug, Clone)]
pub struct ApiKey {
    /// The API user.
    pub user: Gid,
    pub project: Gid,
    /// HMAC-SHA256 of the key, base64.
    pub(crate) lookup_hmac: String,
    pub(crate) sealed_key: String,
    pub created_at: Timestamp,
    /// Time of the last use, with a precision of one hour.
    pub last_used_at: Option<Timestamp>,
}

impl ApiKey {
    /// Returns whether a use at `now` must be recorded.
    pub(crate) fn is_use_due(&self, now: Timestamp) -> bool {
        self.last_used_at
            .is_none_or(|used| used < now.saturating_sub(LAST_USE_PRECISION))
    }
}

/// Lock of a row, by its purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RowLock {
    /// The transaction reads the row; others can share the lock.
    Shared,
    /// The transaction can change the row; others wait.
    ForUpdate,
}
