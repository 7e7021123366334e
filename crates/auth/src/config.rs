//! The settings of auth.

use std::time::Duration;

#[derive(Debug, Clone)]
pub struct Config {
    /// The `iss` of tokens.
    pub issuer: String,
    pub lifetime: Duration,
    /// From a login to the end of its last renewal.
    pub max_session: Duration,
    pub hashing: HashingConfig,
    pub password_min_chars: usize,
    pub throttle: ThrottleConfig,
    /// How long the audit trail is kept.
    pub audit_retention: Duration,
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
    pub workers: usize,
    /// How many may wait.
    pub queue: usize,
}
