//! Streams of the feed as it grows: changes for other services (`WatchChanges`) and feed events for
//! gateways (`WatchEvents`). It does not know users: the gateway decides which sockets an event is
//! for.
//!
//! Example: a gateway calls `WatchEvents` with cursor 100, and the head is 108.
//!
//! 1. The first page has the events 101, 102 and 103 to 108, and the position 108. It is sent.
//! 2. The page had events, so the next one is read at once. It is empty, and the stream waits for a
//!    change of this process, a `NOTIFY` of another process, or at most 100 ms.
//! 3. After a second without events, an empty message with the position 108 is sent. It shows that
//!    the stream is alive and complete up to 108.
//! 4. dan's name changes: the stream wakes up, and sends the events of cursor 109.

use std::{future::Future, time::Duration};

use doorward_rpc::{RpcError, directory::v1 as pb};
use tokio::{sync::mpsc, time::Instant};
use tokio_util::sync::CancellationToken;
use tonic::Status;

use crate::{
    Directory, Error,
    model::{Change, FeedEvent},
    service::convert,
    store,
};

/// Maximum wait between two reads. Bounds the delay of changes whose notification was lost or does
/// not exist (SQLite).
const POLL_INTERVAL: Duration = Duration::from_millis(100);
/// Maximum time between two messages, even if there is nothing new.
const HEARTBEAT: Duration = Duration::from_secs(1);
/// Maximum number of changes in a message, and approximate maximum number of events.
const PAGE: usize = 1000;

type Sender<M> = mpsc::Sender<Result<M, Status>>;

/// A page of a stream.
pub(crate) struct StreamPage<M> {
    message: M,
    /// The cursor after which the next page is read.
    position: i64,
    /// Whether the page has anything new. If not, it is sent only as a heartbeat.
    has_news: bool,
}

impl Directory {
    /// Returns the changes after a cursor, ordered by cursor, at most 1,000.
    ///
    /// # Errors
    /// [`Error::CursorExpired`] if changes after the cursor may have been deleted. Database errors.
    pub async fn list_changes(&self, after: i64) -> Result<Vec<Change>, Error> {
        let read = move |connection: &mut doorward_storage::AnyConnection| {
            let changes = store::feed_change::list(connection, after, PAGE as i64)?;
            // The tail is read last: if retention deletes rows between the two queries, the cursor
            // counts as expired.
            Ok((changes, store::feed_change::tail(connection)?))
        };
        let (changes, tail) = self.database.query(read).await?;
        if after < tail.changes_cursor {
            Err(Error::CursorExpired)
        } else {
            Ok(changes)
        }
    }

    /// Returns the cursor of the newest change, as of some moment after the call.
    ///
    /// # Errors
    /// Database errors.
    pub async fn newest_change_cursor(&self) -> Result<i64, Error> {
        Ok(self
            .database
            .query(store::feed_change::newest_change)
            .await?)
    }

    /// Returns the events after a cursor, ordered by cursor, and the position after them. A page
    /// has about 1,000 events, and always all events of one cursor.
    async fn list_events(&self, after: i64) -> Result<(Vec<FeedEvent>, i64), Error> {
        let read = move |connection: &mut doorward_storage::AnyConnection| {
            let head = store::feed_change::get_head(connection)?;
            let mut events = store::feed_event::list(connection, after, head, PAGE as i64)?;
            let last = events
                .last()
                .filter(|_| events.len() >= PAGE)
                .map(|last| last.cursor);
            // The page may end in the middle of a cursor: its last cursor is read again as a whole.
            if let Some(last) = last {
                events.retain(|event| event.cursor < last);
                events.extend(store::feed_event::list(
                    connection,
                    last - 1,
                    last,
                    i64::MAX,
                )?);
            }
            Ok((
                events,
                last.unwrap_or(head),
                store::feed_change::tail(connection)?,
            ))
        };
        let (events, position, tail) = self.database.query(read).await?;
        if after < tail.events_cursor {
            Err(Error::CursorExpired)
        } else {
            Ok((events, position.max(after)))
        }
    }
}

/// Reads a message of `WatchChanges`.
pub(crate) async fn change_page(
    directory: Directory,
    after: i64,
) -> Result<StreamPage<pb::WatchChangesResponse>, Error> {
    let changes = directory.list_changes(after).await?;
    let has_news = !changes.is_empty();
    let cursor = changes.last().map_or(after, |last| last.cursor);
    let changes = changes.into_iter().map(convert::change).collect();
    Ok(StreamPage {
        message: pb::WatchChangesResponse { changes, cursor },
        position: cursor,
        has_news,
    })
}

/// Reads a message of `WatchEvents`.
pub(crate) async fn event_page(
    directory: Directory,
    after: i64,
) -> Result<StreamPage<pb::WatchEventsResponse>, Error> {
    let (events, cursor) = directory.list_events(after).await?;
    // A page without events is sent, too, if the position has moved: the gateway then knows that
    // its subscribers have everything up to there.
    let has_news = cursor > after;
    let events = events.into_iter().map(convert::feed_event).collect();
    Ok(StreamPage {
        message: pb::WatchEventsResponse { events, cursor },
        position: cursor,
        has_news,
    })
}

/// Sends the rows after `cursor` until the receiver is closed, a query fails, or `shutdown`. On
/// shutdown, the rows that are being read are still sent.
pub(crate) async fn stream_pages<M, F, R>(
    directory: Directory,
    mut cursor: i64,
    read: F,
    sender: Sender<M>,
    shutdown: CancellationToken,
) where
    F: Fn(Directory, i64) -> R,
    R: Future<Output = Result<StreamPage<M>, Error>>,
{
    let mut feed_changed = directory.feed_changed.subscribe();
    let mut last_sent: Option<Instant> = None;
    loop {
        // This precedes the read, so that a change committed during the read wakes up the loop
        // again.
        feed_changed.mark_unchanged();
        let page = match read(directory.clone(), cursor).await {
            Ok(page) => page,
            Err(error) => {
                drop(sender.send(Err(RpcError::from(error).into())).await);
                return;
            }
        };
        cursor = page.position;
        if page.has_news || last_sent.is_none_or(|sent| sent.elapsed() >= HEARTBEAT) {
            if sender.send(Ok(page.message)).await.is_err() {
                return;
            }
            last_sent = Some(Instant::now());
        }
        // There may be another page, which is read without waiting.
        if page.has_news && !shutdown.is_cancelled() {
            continue;
        }
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = sender.closed() => return,
            _ = feed_changed.changed() => {}
            () = tokio::time::sleep(POLL_INTERVAL) => {}
        }
    }
}
