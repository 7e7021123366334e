//! The parts of auth that the gRPC methods use.

use std::sync::Arc;

use doorward_domain::Clock;
use doorward_storage::Database;
use tokio_util::sync::CancellationToken;

use crate::{
    accounts::Accounts,
    api_keys::ApiKeys,
    config::Config,
    login::logins::Logins,
    tokens::{issue::Tokens, trust_store::TrustStore},
};

/// The gRPC service.
pub(crate) struct Service {
    pub(crate) database: Database,
    pub(crate) config: Arc<Config>,
    pub(crate) logins: Arc<Logins>,
    pub(crate) api_keys: ApiKeys,
    pub(crate) accounts: Accounts,
    pub(crate) tokens: Arc<Tokens>,
    pub(crate) trust: Arc<TrustStore>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) shutdown: CancellationToken,
}
