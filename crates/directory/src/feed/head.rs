//! The position of the change feed, asked for by many at once: one read of the database answers all who asked before it
//! began.

use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::Mutex;

use crate::{Directory, Error, store};

#[derive(Default)]
pub(crate) struct FeedHead {
    requests: AtomicU64,
    last: Mutex<HeadRead>,
}

/// A read that began after so many had asked. None when it failed.
#[derive(Default)]
struct HeadRead {
    request_number: u64,
    cursor: Option<i64>,
}

impl Directory {
    /// The last cursor that was given out, as of some moment after the call.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn feed_head(&self) -> Result<i64, Error> {
        let number = self.feed_head_cache.requests.fetch_add(1, Ordering::SeqCst) + 1;
        let mut last = self.feed_head_cache.last.lock().await;
        if last.request_number >= number {
            return last.cursor.ok_or_else(shared_read_error);
        }
        let answers = self.feed_head_cache.requests.load(Ordering::SeqCst);
        let read = self
            .database
            .query(store::feed_change::get_head)
            .await
            .map_err(Error::from);
        // Only now: who goes away in the middle of a read leaves it to the next.
        *last = HeadRead {
            request_number: answers,
            cursor: read.as_ref().ok().copied(),
        };
        read
    }
}

impl Directory {
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
}

fn shared_read_error() -> Error {
    doorward_storage::Error::Unavailable("the read that this one shares has failed".to_owned())
        .into()
}
