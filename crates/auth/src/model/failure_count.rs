//! The stored count of a bucket of the throttle.

use doorward_domain::Timestamp;

/// The stored count of a bucket.
#[derive(Debug, Clone)]
pub(crate) struct FailureCount {
    /// Key of the bucket.
    pub(crate) bucket: String,
    pub(crate) failures: i64,
    /// Time of the last failure, from which the decay is computed.
    pub(crate) failed_at: Timestamp,
    /// End of the wait. Until then every attempt is rejected.
    pub(crate) blocked_until: Timestamp,
    /// End of the last wait that was recorded in the audit trail.
    pub(crate) audited_until: Timestamp,
}
