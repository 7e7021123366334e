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

use std::{sync::Arc, time::Duration};

use doorward_domain::{Clock, Gid, Timestamp, UserStatus};
use doorward_rpc::{
    Channel, RpcError,
    channel::MAX_MESSAGE_BYTES,
    directory::v1::{
        Action, Change, WatchChangesRequest, WatchChangesResponse,
        directory_client::DirectoryClient,
    },
};
use doorward_storage::{AnyConnection, Database};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::{
    Error, accounts,
    audit::{self, Entry, Origin},
    feed::catch_up,
    store,
    tokens::{
        revocation::{self, RevocationTarget},
        trust_store::TrustStore,
    },
};

/// Pause between two attempts to connect to the directory.
const PAUSE: Duration = Duration::from_millis(300);
/// Maximum time without a message. The directory sends a heartbeat every second, so a stream that
/// is silent for longer is lost.
const STREAM_TIMEOUT: Duration = Duration::from_secs(5);

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
            let next = tokio::time::timeout(STREAM_TIMEOUT, stream.message())
                .await
                .map_err(|_| "no message from the directory in time".to_owned())?;
            let message = match next {
                Ok(Some(message)) => message,
                Ok(None) => return Ok(()),
                Err(status) => {
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

/// Revokes the tokens of users without access, and deletes the secrets of those who were deleted.
///
/// # Errors
/// Database errors.
pub(crate) fn revoke_access(
    connection: &mut AnyConnection,
    ended: &[AccessEnd],
    lifetime: Duration,
) -> Result<(), Error> {
    let targets = ended
        .iter()
        .map(|end| (RevocationTarget::Subject(end.user), end.ended_at))
        .collect();
    revocation::revoke(connection, targets, lifetime)?;
    ended.iter().try_for_each(|end| record_end(connection, end))
}

/// A user who must not have tokens any more.
pub(crate) struct AccessEnd {
    pub(crate) user: Gid,
    /// Time of the change in the directory.
    pub(crate) ended_at: Timestamp,
    pub(crate) reason: EndReason,
}

/// Why a user lost access.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum EndReason {
    Inactive,
    Deleted,
    /// An API user is not a member of its project any more.
    MembershipEnded,
}

impl EndReason {
    /// Returns the detail of the audit record.
    const fn as_str(self) -> &'static str {
        match self {
            Self::Inactive => "user inactive",
            Self::Deleted => "user deleted",
            Self::MembershipEnded => "no member any more",
        }
    }
}

/// Returns the user who loses access by this change, if there is one.
fn find_access_end(
    connection: &mut AnyConnection,
    change: &Change,
) -> Result<Option<AccessEnd>, Error> {
    // A new user or membership with another status, such as `invited`, has no tokens to revoke.
    let can_have_tokens =
        change.status == UserStatus::Active.as_str() || change.action() == Action::Insert;
    if can_have_tokens {
        return Ok(None);
    }
    let at = Timestamp::from_micros(change.changed_at);
    let is_deleted = change.action() == Action::Delete;
    match change.data_type.as_str() {
        "cc.users" => {
            let reason = if is_deleted {
                EndReason::Deleted
            } else {
                EndReason::Inactive
            };
            Ok(change.data_key.parse().ok().map(|user| AccessEnd {
                user,
                ended_at: at,
                reason,
            }))
        }
        "cc.projects_members" => {
            let key = change.data_key.split_once('/');
            let Some((Ok(project), Ok(user))) =
                key.map(|(project, user)| (project.parse::<Gid>(), user.parse()))
            else {
                return Ok(None);
            };
            // The token of an account is valid in all its projects. That of an API user is valid in
            // this one only, so it ends with the membership.
            let is_api_user =
                store::api_key::find(connection, user)?.is_some_and(|key| key.project == project);
            Ok(is_api_user.then_some(AccessEnd {
                user,
                ended_at: at,
                reason: EndReason::MembershipEnded,
            }))
        }
        _ => Ok(None),
    }
}

/// Records the end of access in the audit trail, and deletes the secrets of a deleted user.
fn record_end(connection: &mut AnyConnection, end: &AccessEnd) -> Result<(), Error> {
    let entry = Entry::new(
        audit::Action::TokensRevoked,
        Some(end.user),
        &Origin::internal(),
    );
    audit::record(
        connection,
        entry.with_detail(end.reason.as_str()),
        end.ended_at,
    )?;
    if end.reason == EndReason::Deleted {
        // Secrets from after the deletion stay: the gid may have been imported again.
        accounts::forget(connection, end.user, end.ended_at)?;
    }
    Ok(())
}

#[cfg(test)]
#[path = "follow_tests.rs"]
mod tests;
