//! The follower of the directory's change feed, and what it needs. Its methods are in
//! `follow.rs` and `catch_up.rs`.

use std::{sync::Arc, time::Duration};

use doorward_domain::Clock;
use doorward_rpc::{Channel, directory::v1::directory_client::DirectoryClient};
use doorward_storage::Database;
use tokio::sync::watch;

use crate::tokens::trust_store::TrustStore;

/// Client of the directory.
pub(crate) type Client = DirectoryClient<Channel>;

/// Follows the change feed of the directory.
pub(crate) struct Follower {
    pub(crate) database: Database,
    pub(crate) directory: Channel,
    pub(crate) trust: Arc<TrustStore>,
    pub(crate) clock: Arc<dyn Clock>,
    /// The cursor up to which this process has applied the feed.
    pub(crate) applied_cursor: watch::Sender<i64>,
    /// Lifetime of the tokens that this process issues.
    pub(crate) lifetime: Duration,
}
