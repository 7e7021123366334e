//! How long the feed is kept. Who comes with an older cursor is told so.

use std::time::Duration;

use doorward_domain::Timestamp;
use doorward_storage::AnyConnection;
use tokio_util::sync::CancellationToken;

use crate::{Directory, Error, store};

/// Changes that go in one transaction, between which others have their turn.
const PAGE: i64 = 500;
const MAX_INTERVAL: Duration = Duration::from_secs(60);
const MIN_INTERVAL: Duration = Duration::from_millis(200);

pub(crate) async fn run(directory: Directory, keep: Duration, shutdown: CancellationToken) {
    let mut interval = tokio::time::interval((keep / 10).clamp(MIN_INTERVAL, MAX_INTERVAL));
    while shutdown
        .run_until_cancelled(interval.tick())
        .await
        .is_some()
    {
        if let Err(error) = directory.delete_old_changes(keep).await {
            tracing::warn!(%error, "what is too old stays in the feed for now");
        }
    }
}

impl Directory {
    /// Forgets the changes that are older than this.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn delete_old_changes(&self, keep: Duration) -> Result<(), Error> {
        let cut = self.clock.now().saturating_sub(keep);
        while self
            .database
            .write(move |connection| forget_page(connection, cut))
            .await?
        {}
        Ok(())
    }
}

/// Whether there may be more.
fn forget_page(connection: &mut AnyConnection, cut: Timestamp) -> Result<bool, Error> {
    // A change, and what follows from it, is never parted from the range of cursors that goes with it: no change is in one.
    let Some(cursor) = store::feed_change::find_last_before(connection, cut, PAGE)? else {
        return Ok(false);
    };
    store::feed_change::advance_tail(connection, cursor)?;
    store::feed_change::delete_until(connection, cursor)?;
    store::feed_event::delete_until(connection, cursor)?;
    store::feed_subscription::delete_until(connection, cursor)?;
    store::membership_slot::delete_until(connection, cursor)?;
    Ok(true)
}
