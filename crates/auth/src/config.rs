//! The settings of auth.

use std::time::Duration;

use doorward_mail::MailConfig;

#[derive(Debug, Clone)]
pub struct Config {
    /// The `iss` of tokens.
    pub issuer: String,
    pub token_lifetime: Duration,
    /// From a login to the end of its last renewal.
    pub max_session_lifetime: Duration,
    /// How long tokens are vouched for after the directory's feed was last followed to its end.
    pub trust_max_age: Duration,
    pub hashing: HashingConfig,
    pub password_min_chars: usize,
    /// Whether who changes their password must give the one they have.
    pub requires_current_password: bool,
    pub throttle: ThrottleConfig,
    /// How long the audit trail is kept.
    pub audit_retention: Duration,
    /// None: no mails are sent, and what needs one is unavailable.
    pub mail: Option<MailConfig>,
}

#[derive(Debug, Clone, Copy)]
pub struct ThrottleConfig {
    /// Failed logins of one username that bring about the first wait; of one address, ten times as many.
    pub failures: u32,
    /// The first wait; each further failure doubles it.
    pub backoff: Duration,
    pub backoff_max: Duration,
}

#[derive(Debug, Clone, Copy)]
pub struct HashingConfig {
    pub memory_kib: u32,
    pub passes: u32,
    pub lanes: u32,
    /// Hashes at once.
    pub worker_threads: usize,
    /// How many may wait.
    pub max_queued: usize,
}
