//! Settings of auth. The server crate parses and validates them.

use std::time::Duration;

use doorward_mail::MailConfig;

/// Settings of the service.
#[derive(Debug, Clone)]
pub struct Config {
    /// Issuer (`iss`) of tokens.
    pub issuer: String,
    /// Lifetime of one token.
    pub token_lifetime: Duration,
    /// Maximum time from a login to the expiry of its last renewal.
    pub max_session_lifetime: Duration,
    /// Maximum age of the knowledge of the directory's feed with which tokens are accepted.
    pub trust_max_age: Duration,
    pub hashing: HashingConfig,
    /// Minimum length of a new password in characters.
    pub password_min_chars: usize,
    /// Whether a change of the password requires the current one.
    pub requires_current_password: bool,
    pub throttle: ThrottleConfig,
    /// Time for which audit records are kept.
    pub audit_retention: Duration,
    /// None if no mails are sent; then calls that need one are unavailable.
    pub mail: Option<MailConfig>,
}

/// Settings of the throttle.
#[derive(Debug, Clone, Copy)]
pub struct ThrottleConfig {
    /// Number of failed logins with one username that starts the first wait. Other thresholds are
    /// multiples of it; that of a client network is ten times as high.
    pub failures: u32,
    /// First wait; each further failure doubles it.
    pub backoff: Duration,
    /// Longest wait.
    pub backoff_max: Duration,
}

/// Settings of argon2id and of the hashing threads.
#[derive(Debug, Clone, Copy)]
pub struct HashingConfig {
    pub memory_kib: u32,
    pub passes: u32,
    pub lanes: u32,
    /// Number of hashes that are computed at the same time.
    pub worker_threads: usize,
    /// Maximum number of hashes that wait.
    pub max_queued: usize,
}
