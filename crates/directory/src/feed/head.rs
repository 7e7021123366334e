//! The head of the change feed. Many clients ask for it at the same time, so one database query
//! answers all requests that arrived before the query began.
//!
//! Example: requests 1, 2 and 3 arrive. Request 1 gets the mutex and starts a query, which answers
//! all three, because `requests` is 3 by then. Request 4 arrives during the query: it must not get
//! this result, which could be older than the request, and starts its own query.

use std::sync::atomic::{AtomicU64, Ordering};

use doorward_storage::Database;
use tokio::sync::Mutex;

use crate::{Error, store};

/// Result of the last query of the head, shared by all requests of a process.
#[derive(Default)]
pub(crate) struct FeedHead {
    /// Number of requests so far.
    requests: AtomicU64,
    /// Locked during a query, so that only one runs at a time.
    last: Mutex<HeadRead>,
}

/// Result of one query.
#[derive(Default)]
struct HeadRead {
    /// Number of requests that had arrived when the query began.
    request_number: u64,
    /// None if the query failed.
    cursor: Option<i64>,
}

impl FeedHead {
    /// Returns the last cursor that was assigned, as of some moment after the call.
    ///
    /// # Errors
    /// Database errors.
    pub(crate) async fn read(&self, database: &Database) -> Result<i64, Error> {
        let number = self.requests.fetch_add(1, Ordering::SeqCst) + 1;
        let mut last = self.last.lock().await;
        if last.request_number >= number {
            return last.cursor.ok_or_else(shared_read_error);
        }
        let answered = self.requests.load(Ordering::SeqCst);
        let read = database
            .query(store::feed_change::get_head)
            .await
            .map_err(Error::from);
        // The result is stored after the query: if this future is dropped before, the next request
        // runs its own query.
        *last = HeadRead {
            request_number: answered,
            cursor: read.as_ref().ok().copied(),
        };
        read
    }
}

/// Returns the error of a request whose shared query failed; the cause is logged for another
/// request.
fn shared_read_error() -> Error {
    doorward_storage::Error::Unavailable("the shared query of the feed head failed".to_owned())
        .into()
}
