//! Following the change feed, for other services.

use std::time::Duration;

use doorward_proto::{Failure, directory::v1 as pb};
use tokio::{sync::mpsc, time::Instant};
use tokio_util::sync::CancellationToken;
use tonic::Status;

use crate::{Directory, Error, convert, model::Change, store};

/// How often the feed is asked for news.
const POLL: Duration = Duration::from_millis(100);
const HEARTBEAT: Duration = Duration::from_secs(1);
const PAGE: i64 = 1000;

type Sender = mpsc::Sender<Result<pb::WatchResponse, Status>>;

impl Directory {
    /// The changes after a cursor, in order, at most 1,000.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn list_changes(&self, after: i64) -> Result<Vec<Change>, Error> {
        Ok(self.database.peek(move |connection| store::feed::list(connection, after, PAGE)).await?)
    }
}

/// Sends what comes after `cursor` until the receiver goes away, the database does, or `shutdown`.
pub(crate) async fn follow(directory: Directory, mut cursor: i64, sender: Sender, shutdown: CancellationToken) {
    let mut last_sent: Option<Instant> = None;
    loop {
        let changes = match directory.list_changes(cursor).await {
            Ok(changes) => changes,
            Err(error) => {
                drop(sender.send(Err(Failure::from(error).into())).await);
                return;
            }
        };
        let is_idle = changes.is_empty();
        if let Some(last) = changes.last() {
            cursor = last.cursor;
        }
        if !is_idle || last_sent.is_none_or(|sent| sent.elapsed() >= HEARTBEAT) {
            let message = pb::WatchResponse { changes: changes.into_iter().map(convert::change).collect(), cursor };
            if sender.send(Ok(message)).await.is_err() {
                return;
            }
            last_sent = Some(Instant::now());
        }
        if is_idle {
            tokio::select! {
                () = shutdown.cancelled() => return,
                () = sender.closed() => return,
                () = tokio::time::sleep(POLL) => {}
            }
        } else if shutdown.is_cancelled() {
            return;
        }
    }
}
