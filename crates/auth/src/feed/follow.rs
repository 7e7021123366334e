//! Follows the directory's change feed: revokes the tokens of users who are deactivated or deleted
//! there, and of API users who are removed from their project, for changes by any program, and even
//! if a process crashed in between. It does not know the rules of the directory.
//!
//! Example: the position in the database is 40, and a message has three changes and cursor 43.
//!
//! ```text
//! cursor  action  data type            data key         status
//! 41      update  cc.users             ann              inactive
//! 42      delete  cc.projects_members  project/robot
//! 43      delete  cc.users             robot
//! ```
//!
//! 1. One transaction locks the position, so other replicas wait. All three changes are newer than
//!    40.
//! 2. 41: ann's tokens are revoked. Her password stays, because she can be activated again.
//! 3. 42 and 43: robot is an API user of that project. The end of its membership is dropped,
//!    because 43 says more; its tokens are revoked, its key is deleted, and there is one audit
//!    record.
//! 4. The position becomes 43 in the same transaction. After a crash before the commit, all of it
//!    is repeated; after the commit, nothing is.
//! 5. A replica that receives the same message finds the position at 43, and skips all three.

use std::time::Duration;

use doorward_domain::Gid;
use doorward_rpc::{
    NextMessageError, RpcError,
    channel::MAX_MESSAGE_BYTES,
    directory::v1::{WatchChangesRequest, WatchChangesResponse, directory_client::DirectoryClient},
    next_message,
};
use doorward_storage::AnyConnection;
use tokio_util::sync::CancellationToken;

use crate::{
    error::Error,
    feed::{
        access_end::{AccessEnd, EndReason, find_access_end, revoke_access},
        catch_up,
        follower::Follower,
    },
    store,
};

/// Pause between two attempts to connect to the directory.
const PAUSE: Duration = Duration::from_millis(300);
/// Maximum time without a message. The directory sends a heartbeat every second, so a stream that
/// is silent for longer is lost.
const STREAM_TIMEOUT: Duration = Duration::from_secs(5);

impl Follower {
    /// Follows the feed until `shutdown`, and reconnects after each error. Only the first error of
    /// an interruption is logged.
    pub(crate) async fn run(self, shutdown: CancellationToken) {
        let mut is_logged = false;
        while !shutdown.is_cancelled() {
            tokio::select! {
                () = shutdown.cancelled() => {}
                result = self.read_stream(&mut is_logged) => {
                    if let Err(reason) = result && !is_logged {
                        tracing::warn!(
                            reason,
                            "lost the connection to the directory feed; token revocations are \
                             delayed; reconnecting"
                        );
                        is_logged = true;
                    }
                }
            }
            metrics::gauge!("doorward_feed_followed").set(0.0);
            tokio::select! {
                () = shutdown.cancelled() => {}
                () = tokio::time::sleep(PAUSE) => {}
            }
        }
    }

    /// Applies the messages of one stream until it ends.
    async fn read_stream(&self, is_logged: &mut bool) -> Result<(), String> {
        let cursor = self
            .database
            .read_snapshot(|connection| Ok::<_, Error>(store::feed_position::get(connection)?))
            .await;
        let cursor = cursor.map_err(|error| error.to_string())?;
        self.applied_cursor.send_replace(cursor);
        let mut client = DirectoryClient::new(self.directory.clone())
            .max_decoding_message_size(MAX_MESSAGE_BYTES);
        let request = WatchChangesRequest {
            cursor: Some(cursor),
        };
        let mut stream = client
            .watch_changes(request)
            .await
            .map_err(|status| status.to_string())?
            .into_inner();
        loop {
            let message = match next_message(&mut stream, STREAM_TIMEOUT).await {
                Ok(Some(message)) => message,
                Ok(None) => return Ok(()),
                Err(NextMessageError::Timeout) => {
                    return Err("no message from the directory in time".to_owned());
                }
                Err(NextMessageError::Status(status)) => {
                    let failure = RpcError::from(status);
                    if catch_up::is_cursor_expired(&failure) {
                        return self.catch_up(&mut client).await;
                    }
                    return Err(format!("{:?}", failure.code));
                }
            };
            self.apply_message(message)
                .await
                .map_err(|error| error.to_string())?;
            *is_logged = false;
            metrics::gauge!("doorward_feed_followed").set(1.0);
        }
    }

    /// Applies a message; a heartbeat has no changes and needs no transaction.
    async fn apply_message(&self, message: WatchChangesResponse) -> Result<(), Error> {
        if message.changes.is_empty() {
            return Ok(());
        }
        let cursor = message.cursor;
        let lifetime = self.lifetime;
        let has_revoked = self
            .database
            .write(move |connection| apply(connection, &message, lifetime))
            .await?;
        // The revocations are known in this process before the cursor counts as applied.
        if has_revoked {
            self.trust.refresh().await?;
        }
        self.applied_cursor.send_replace(cursor);
        Ok(())
    }
}

/// Applies the changes of a message that no replica has applied yet. Returns whether tokens were
/// revoked.
fn apply(
    connection: &mut AnyConnection,
    message: &WatchChangesResponse,
    lifetime: Duration,
) -> Result<bool, Error> {
    let position = store::feed_position::get_locked(connection)?;
    let mut ended: Vec<AccessEnd> = Vec::new();
    for change in message
        .changes
        .iter()
        .filter(|change| change.cursor > position)
    {
        ended.extend(find_access_end(connection, change)?);
    }
    // The membership of an API user ends with the user. One audit record is enough.
    let users: Vec<Gid> = ended
        .iter()
        .filter(|end| end.reason != EndReason::MembershipEnded)
        .map(|end| end.user)
        .collect();
    ended.retain(|end| end.reason != EndReason::MembershipEnded || !users.contains(&end.user));
    revoke_access(connection, &ended, lifetime)?;
    store::feed_position::advance(connection, message.cursor)?;
    Ok(!ended.is_empty())
}

#[cfg(test)]
#[path = "follow_tests.rs"]
mod tests;
