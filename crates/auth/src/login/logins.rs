//! The services that logins need. The steps of a login are in the other files of this folder.

use std::sync::Arc;

use doorward_domain::Clock;
use doorward_storage::Database;
use tokio::sync::Semaphore;

use crate::{
    api_keys::ApiKeys, config::Config, login::in_flight::InFlight,
    passwords::credentials::Credentials, tokens::issue::Tokens,
};

/// Logins with a password or an API key.
pub(crate) struct Logins {
    pub(crate) database: Database,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) config: Arc<Config>,
    pub(crate) credentials: Credentials,
    pub(crate) api_keys: ApiKeys,
    pub(crate) tokens: Arc<Tokens>,
    pub(crate) in_flight: Arc<InFlight>,
    /// One slot for each attempt that waits for admission.
    pub(crate) waiting_slots: Semaphore,
}
