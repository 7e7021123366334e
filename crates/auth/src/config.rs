//! The settings of auth.

use std::time::Duration;

#[derive(Debug, Clone)]
pub struct Config {
    /// The `iss` of tokens.
    pub issuer: String,
    pub lifetime: Duration,
    /// A token older than this is due for renewal.
    pub renew_after: Duration,
    /// From a login to the end of its last renewal.
    pub max_session: Duration,
    pub hashing: HashingConfig,
    pub password_min_chars: usize,
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
