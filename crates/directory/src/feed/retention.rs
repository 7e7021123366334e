//! Deletes old rows of the feed and moves its tail. It does not know clients: one whose cursor is
//! before the tail gets [`Error::CursorExpired`] from the queries in `sync.rs` and `watch.rs`.
//!
//! Example: `feed_retention` is 7 days, and it is day 10, so rows from before day 3 are deleted.
//!
//! | cursor | row | changed at |
//! | --- | --- | --- |
//! | 98 | change, and events with the same cursor | day 1 |
//! | 102 | change, and events with the same cursor | day 2 |
//! | 103 to 108 | event about all members, caused by the change 102 | |
//! | 110 | change, and events with the same cursor | day 9 |
//!
//! 1. The last change from before day 3 is 102, so the tail moves to 102.
//! 2. Changes and events up to 102 are deleted, and subscriptions and membership slots that were
//!    closed by then. The event 103 to 108 stays until the change 110 is deleted.
//! 3. A client with cursor 102 has missed nothing, and continues with 103. A client with cursor 101
//!    may have missed 102, and must call init again.

use std::time::Duration;

use doorward_domain::Timestamp;
use doorward_storage::AnyConnection;
use tokio_util::sync::CancellationToken;

use crate::{Directory, Error, store};

/// Maximum number of changes that one transaction deletes; other writers get their turn between
/// two.
const PAGE: i64 = 500;
/// Bounds of the pause between two runs, which is a tenth of the retention.
const MAX_INTERVAL: Duration = Duration::from_secs(60);
const MIN_INTERVAL: Duration = Duration::from_millis(200);

/// Deletes old rows periodically until `shutdown`.
pub(crate) async fn run(directory: Directory, retention: Duration, shutdown: CancellationToken) {
    let mut interval = tokio::time::interval((retention / 10).clamp(MIN_INTERVAL, MAX_INTERVAL));
    while shutdown
        .run_until_cancelled(interval.tick())
        .await
        .is_some()
    {
        if let Err(error) = directory.delete_old_changes(retention).await {
            tracing::warn!(%error, "could not delete expired feed rows; trying again later");
        }
    }
}

impl Directory {
    /// Deletes the rows of the feed that are older than `retention`.
    ///
    /// # Errors
    /// Database errors.
    pub async fn delete_old_changes(&self, retention: Duration) -> Result<(), Error> {
        let cutoff = self.clock.now().saturating_sub(retention);
        while self
            .database
            .write(move |connection| delete_page(connection, cutoff))
            .await?
        {}
        Ok(())
    }
}

/// Deletes one page of changes with all that belongs to them. Returns whether there may be more.
fn delete_page(connection: &mut AnyConnection, cutoff: Timestamp) -> Result<bool, Error> {
    // The feed is always cut at the cursor of a change: a range of cursors of one event contains no
    // change, so it is deleted as a whole or not at all.
    let Some(cursor) = store::feed_change::find_last_before(connection, cutoff, PAGE)? else {
        return Ok(false);
    };
    // The tail moves first, because the lock of its row lets only one process delete at a time.
    store::feed_change::advance_tail(connection, cursor)?;
    store::feed_change::delete_until(connection, cursor)?;
    store::feed_event::delete_until(connection, cursor)?;
    store::feed_subscription::delete_until(connection, cursor)?;
    store::membership_slot::delete_until(connection, cursor)?;
    Ok(true)
}
