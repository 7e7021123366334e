//! The services that calls about accounts need. The rules are its methods, in a file for each call,
//! and in `shared_steps.rs`.

use std::sync::Arc;

use doorward_domain::{Clock, IdGenerator};
use doorward_mail::Outbox;
use doorward_storage::Database;

use crate::{
    accounts::codes::Codes,
    config::Config,
    login::logins::Logins,
    passwords::credentials::Credentials,
    tokens::{issue::Tokens, trust_store::TrustStore},
};

/// The rules of calls about accounts, and the services that they need.
pub(crate) struct Accounts {
    pub(crate) database: Database,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) ids: Arc<dyn IdGenerator>,
    pub(crate) config: Arc<Config>,
    pub(crate) credentials: Credentials,
    pub(crate) codes: Codes,
    pub(crate) tokens: Arc<Tokens>,
    pub(crate) trust: Arc<TrustStore>,
    pub(crate) logins: Arc<Logins>,
    /// None if no mails are sent; then calls that need one are unavailable.
    pub(crate) outbox: Option<Outbox>,
}
