//! Following the directory's change feed: a user who is deactivated or deleted there loses their tokens here, whoever
//! made the change and whatever crashed in between.

use std::{sync::Arc, time::Duration};

use doorward_domain::{Gid, Timestamp, UserStatus};
use doorward_proto::{
    Channel,
    channel::MAX_MESSAGE_BYTES,
    directory::v1::{Action, Change, WatchRequest, WatchResponse, directory_client::DirectoryClient},
};
use doorward_storage::{AnyConnection, Database};
use tokio_util::sync::CancellationToken;

use crate::{
    Error,
    revocation::{self, Covers},
    store,
    trust::Trust,
};

/// Between two tries to reach the directory.
const PAUSE: Duration = Duration::from_millis(300);
/// The directory sends a heartbeat each second; without one for longer, the connection is given up.
const SILENCE: Duration = Duration::from_secs(5);

pub(crate) struct Follower {
    pub(crate) database: Database,
    pub(crate) directory: Channel,
    pub(crate) trust: Arc<Trust>,
    /// Of a token.
    pub(crate) lifetime: Duration,
}

impl Follower {
    pub(crate) async fn run(self, shutdown: CancellationToken) {
        let mut is_logged = false;
        while !shutdown.is_cancelled() {
            tokio::select! {
                () = shutdown.cancelled() => {}
                ended = self.follow(&mut is_logged) => if let Err(reason) = ended && !is_logged {
                    tracing::warn!(reason, "the directory's changes are not heard of: nobody's tokens are revoked by them");
                    is_logged = true;
                }
            }
            metrics::gauge!("doorward_feed_followed").set(0.0);
            tokio::select! {
                () = shutdown.cancelled() => {}
                () = tokio::time::sleep(PAUSE) => {}
            }
        }
    }

    async fn follow(&self, is_logged: &mut bool) -> Result<(), String> {
        let cursor = self.database.read(|connection| Ok::<_, Error>(store::feed_position::get(connection)?)).await;
        let cursor = cursor.map_err(|error| error.to_string())?;
        let mut client = DirectoryClient::new(self.directory.clone()).max_decoding_message_size(MAX_MESSAGE_BYTES);
        let request = WatchRequest { cursor: Some(cursor) };
        let mut stream = client.watch(request).await.map_err(|status| status.to_string())?.into_inner();
        loop {
            let next = tokio::time::timeout(SILENCE, stream.message()).await.map_err(|_| "silence".to_owned())?;
            let Some(message) = next.map_err(|status| status.to_string())? else {
                return Ok(());
            };
            self.take_over(message).await.map_err(|error| error.to_string())?;
            *is_logged = false;
            metrics::gauge!("doorward_feed_followed").set(1.0);
        }
    }

    async fn take_over(&self, message: WatchResponse) -> Result<(), Error> {
        if message.changes.is_empty() {
            return Ok(());
        }
        let lifetime = self.lifetime;
        let has_revoked = self.database.write(move |connection| apply(connection, &message, lifetime)).await?;
        if has_revoked { self.trust.refresh().await } else { Ok(()) }
    }
}

/// Idempotent: replicas follow the same feed, and one that crashed starts again a little earlier.
fn apply(connection: &mut AnyConnection, message: &WatchResponse, lifetime: Duration) -> Result<bool, Error> {
    let gone: Vec<(Gid, &Change)> =
        message.changes.iter().filter_map(|change| Some((user_who_is_gone(change)?, change))).collect();
    let has_revoked = !gone.is_empty();
    let at = |change: &Change| Timestamp::from_micros(change.changed_at);
    let covered = gone.iter().map(|(user, change)| (Covers::Subject(*user), at(change))).collect();
    revocation::revoke(connection, covered, lifetime)?;
    for (user, change) in &gone {
        if change.action() == Action::Delete {
            store::credential::delete_older(connection, *user, at(change))?;
        }
    }
    store::feed_position::advance(connection, message.cursor)?;
    Ok(has_revoked)
}

/// The user of a change after which they may have no tokens.
fn user_who_is_gone(change: &Change) -> Option<Gid> {
    let may_have_tokens = change.status == UserStatus::Active.as_str() || change.action() == Action::Insert;
    if change.data_type != "cc.users" || may_have_tokens {
        return None;
    }
    change.data_key.parse().ok()
}
