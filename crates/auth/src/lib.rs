//! The auth service: password hashes, API keys, signing keys, tokens and their revocation, the
//! throttle and the audit trail. It knows a user only by gid; names, addresses and memberships
//! belong to the directory, which passes them in where auth needs them.

mod accounts;
mod api_keys;
pub mod audit;
mod config;
mod error;
mod feed;
mod login;
mod maintenance;
mod migrations;
mod model;
mod passwords;
mod reseal;
mod sealing;
mod secrets;
mod service;
pub mod service_tokens;
mod sha256;
mod startup;
mod store;
mod throttle;
mod tokens;
pub mod transfer;

pub use api_keys::ApiKeys;
pub use config::{Config, HashingConfig, ThrottleConfig};
pub use error::Error;
pub use migrations::MIGRATIONS;
pub use model::{ApiKey, KeyState, SigningKey};
pub use passwords::credentials::Credentials;
pub use passwords::hashing::{Hasher, StoredHash, is_within_cost_limit};
pub use passwords::password::Password;
pub use reseal::has_sealed_data;
pub use sealing::{SealError, Sealer};
pub use startup::{Auth, Dependencies};
pub use tokens::signing_keys::Keys;
