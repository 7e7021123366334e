//! Following the feed as it grows: its changes, for other services, and what users are told of them, for gateways.

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

/// How often the feed is asked for news of which nothing else has told.
const POLL_INTERVAL: Duration = Duration::from_millis(100);
const HEARTBEAT: Duration = Duration::from_secs(1);
const PAGE: usize = 1000;

type Sender<M> = mpsc::Sender<Result<M, Status>>;

/// A message, the position after it, and whether there is something in it.
type FeedPage<M> = (M, i64, bool);

impl Directory {
    /// The changes after a cursor, in order, at most 1,000.
    ///
    /// # Errors
    /// [`Error::CursorExpired`], and those of the database.
    pub async fn list_changes(&self, after: i64) -> Result<Vec<Change>, Error> {
        let read = move |connection: &mut doorward_storage::AnyConnection| {
            let changes = store::feed_change::list(connection, after, PAGE as i64)?;
            // In this order: what went meanwhile counts as gone.
            Ok((changes, store::feed_change::tail(connection)?))
        };
        let (changes, tail) = self.database.query(read).await?;
        if after < tail.changes_cursor {
            Err(Error::CursorExpired)
        } else {
            Ok(changes)
        }
    }

    /// The notices after a cursor, in order, about 1,000 but always all of one change; and the position after them.
    async fn list_events(&self, after: i64) -> Result<(Vec<FeedEvent>, i64), Error> {
        let read = move |connection: &mut doorward_storage::AnyConnection| {
            let head = store::feed_change::get_head(connection)?;
            let mut notices = store::feed_event::list(connection, after, head, PAGE as i64)?;
            let last = notices
                .last()
                .filter(|_| notices.len() >= PAGE)
                .map(|last| last.cursor);
            if let Some(last) = last {
                notices.retain(|notice| notice.cursor < last);
                notices.extend(store::feed_event::list(
                    connection,
                    last - 1,
                    last,
                    i64::MAX,
                )?);
            }
            Ok((
                notices,
                last.unwrap_or(head),
                store::feed_change::tail(connection)?,
            ))
        };
        let (notices, position, tail) = self.database.query(read).await?;
        if after < tail.events_cursor {
            Err(Error::CursorExpired)
        } else {
            Ok((notices, position.max(after)))
        }
    }
}

pub(crate) async fn change_page(
    directory: Directory,
    after: i64,
) -> Result<FeedPage<pb::WatchChangesResponse>, Error> {
    let changes = directory.list_changes(after).await?;
    let is_news = !changes.is_empty();
    let cursor = changes.last().map_or(after, |last| last.cursor);
    let changes = changes.into_iter().map(convert::change).collect();
    Ok((
        pb::WatchChangesResponse { changes, cursor },
        cursor,
        is_news,
    ))
}

pub(crate) async fn event_page(
    directory: Directory,
    after: i64,
) -> Result<FeedPage<pb::WatchEventsResponse>, Error> {
    let (notices, cursor) = directory.list_events(after).await?;
    let is_news = cursor > after;
    let notices = notices.into_iter().map(convert::feed_event).collect();
    Ok((
        pb::WatchEventsResponse {
            events: notices,
            cursor,
        },
        cursor,
        is_news,
    ))
}

/// Sends what comes after `cursor` until the receiver goes away, the database does, or `shutdown`.
pub(crate) async fn stream_pages<M, F, R>(
    directory: Directory,
    mut cursor: i64,
    read: F,
    sender: Sender<M>,
    shutdown: CancellationToken,
) where
    F: Fn(Directory, i64) -> R,
    R: Future<Output = Result<FeedPage<M>, Error>>,
{
    let mut news = directory.feed_changed.subscribe();
    let mut last_sent: Option<Instant> = None;
    loop {
        // What comes from here on is asked for once more.
        news.mark_unchanged();
        let (message, position, is_news) = match read(directory.clone(), cursor).await {
            Ok(page) => page,
            Err(error) => {
                drop(sender.send(Err(RpcError::from(error).into())).await);
                return;
            }
        };
        cursor = position;
        if is_news || last_sent.is_none_or(|sent| sent.elapsed() >= HEARTBEAT) {
            if sender.send(Ok(message)).await.is_err() {
                return;
            }
            last_sent = Some(Instant::now());
        }
        if is_news && !shutdown.is_cancelled() {
            continue;
        }
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = sender.closed() => return,
            _ = news.changed() => {}
            () = tokio::time::sleep(POLL_INTERVAL) => {}
        }
    }
}
