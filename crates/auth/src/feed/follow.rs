//! Following the directory's change feed: a user who is deactivated or deleted there loses their tokens here, and an API user
//! who is removed from their project, whoever made the change and whatever crashed in between.

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

/// Between two tries to reach the directory.
const PAUSE: Duration = Duration::from_millis(300);
/// The directory sends a heartbeat each second; without one for longer, the connection is given up.
const STREAM_TIMEOUT: Duration = Duration::from_secs(5);

pub(crate) type Client = DirectoryClient<Channel>;

pub(crate) struct Follower {
    pub(crate) database: Database,
    pub(crate) directory: Channel,
    pub(crate) trust: Arc<TrustStore>,
    pub(crate) clock: Arc<dyn Clock>,
    /// The cursor up to which this process has applied the feed.
    pub(crate) applied_cursor: watch::Sender<i64>,
    /// Of a token.
    pub(crate) lifetime: Duration,
}

impl Follower {
    pub(crate) async fn run(self, shutdown: CancellationToken) {
        let mut is_logged = false;
        while !shutdown.is_cancelled() {
            tokio::select! {
                () = shutdown.cancelled() => {}
                ended = self.read_stream(&mut is_logged) => if let Err(reason) = ended && !is_logged {
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
                .map_err(|_| "silence".to_owned())?;
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

    async fn apply_message(&self, message: WatchChangesResponse) -> Result<(), Error> {
        if message.changes.is_empty() {
            return Ok(());
        }
        let (cursor, lifetime) = (message.cursor, self.lifetime);
        let has_revoked = self
            .database
            .write(move |connection| apply(connection, &message, lifetime))
            .await?;
        if has_revoked {
            self.trust.refresh().await?;
        }
        self.applied_cursor.send_replace(cursor);
        Ok(())
    }
}

/// Replicas follow the same feed: what one has applied, the others pass over.
fn apply(
    connection: &mut AnyConnection,
    message: &WatchChangesResponse,
    lifetime: Duration,
) -> Result<bool, Error> {
    let position = store::feed_position::get_locked(connection)?;
    let mut gone: Vec<AccessEnd> = Vec::new();
    for change in message
        .changes
        .iter()
        .filter(|change| change.cursor > position)
    {
        gone.extend(find_access_end(connection, change)?);
    }
    // An API user's membership changes with the user: one of the two says enough.
    let users: Vec<Gid> = gone
        .iter()
        .filter(|gone| gone.reason != EndReason::MembershipEnded)
        .map(|gone| gone.user)
        .collect();
    gone.retain(|gone| gone.reason != EndReason::MembershipEnded || !users.contains(&gone.user));
    revoke_access(connection, &gone, lifetime)?;
    store::feed_position::advance(connection, message.cursor)?;
    Ok(!gone.is_empty())
}

/// Ends the tokens of these, and forgets those who are deleted.
pub(crate) fn revoke_access(
    connection: &mut AnyConnection,
    gone: &[AccessEnd],
    lifetime: Duration,
) -> Result<(), Error> {
    let covered = gone
        .iter()
        .map(|gone| (RevocationTarget::Subject(gone.user), gone.ended_at))
        .collect();
    revocation::revoke(connection, covered, lifetime)?;
    gone.iter()
        .try_for_each(|gone| delete_secrets(connection, gone))
}

/// Somebody who may have no tokens any more.
pub(crate) struct AccessEnd {
    pub(crate) user: Gid,
    pub(crate) ended_at: Timestamp,
    pub(crate) reason: EndReason,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum EndReason {
    Inactive,
    Deleted,
    /// An API user who is in their project no more.
    MembershipEnded,
}

impl EndReason {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Inactive => "user inactive",
            Self::Deleted => "user deleted",
            Self::MembershipEnded => "no member any more",
        }
    }
}

fn find_access_end(
    connection: &mut AnyConnection,
    change: &Change,
) -> Result<Option<AccessEnd>, Error> {
    let may_have_tokens =
        change.status == UserStatus::Active.as_str() || change.action() == Action::Insert;
    if may_have_tokens {
        return Ok(None);
    }
    let at = Timestamp::from_micros(change.changed_at);
    let is_deleted = change.action() == Action::Delete;
    match change.data_type.as_str() {
        "cc.users" => {
            let why = if is_deleted {
                EndReason::Deleted
            } else {
                EndReason::Inactive
            };
            Ok(change.data_key.parse().ok().map(|user| AccessEnd {
                user,
                ended_at: at,
                reason: why,
            }))
        }
        "cc.projects_members" => {
            let key = change.data_key.split_once('/');
            let Some((Ok(project), Ok(user))) =
                key.map(|(project, user)| (project.parse::<Gid>(), user.parse()))
            else {
                return Ok(None);
            };
            // A person's token is for more than this project; an API user's is not.
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

fn delete_secrets(connection: &mut AnyConnection, gone: &AccessEnd) -> Result<(), Error> {
    let entry = Entry::new(
        audit::Action::TokensRevoked,
        Some(gone.user),
        &Origin::internal(),
    );
    audit::record(
        connection,
        entry.with_detail(gone.reason.as_str()),
        gone.ended_at,
    )?;
    if gone.reason == EndReason::Deleted {
        accounts::forget(connection, gone.user, gone.ended_at)?;
    }
    Ok(())
}

#[cfg(test)]
#[path = "follow_tests.rs"]
mod tests;
