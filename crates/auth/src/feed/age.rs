//! Measures the age of auth's knowledge of the directory's change feed. It does not read the feed
//! itself.
//!
//! The monitor requests the head of the feed, and records the time before the request. Once the
//! follower has applied the feed up to that head, auth knows every deactivation that was committed
//! before that time. So a stream that is lost, silent or late makes the knowledge grow old, and a
//! feed without changes does not. No clocks of two machines are compared. Example:
//!
//! ```text
//! 0.0 s   request for the head: 41
//! 0.1 s   the follower has applied 41: complete as of 0.0 s
//! 0.6 s   next request: 43, but the follower is stuck at 42
//! 10.0 s  still complete as of 0.0 s: with a `trust_max_age` of 10 s, no token is accepted now
//! ```

use std::{sync::Arc, time::Duration};

use doorward_rpc::{
    Channel,
    directory::v1::{GetCursorRequest, directory_client::DirectoryClient},
};
use tokio::{sync::watch, time::Instant};
use tokio_util::sync::CancellationToken;

use crate::tokens::trust_store::TrustStore;

/// Pause between two requests, also after a failed one.
const PAUSE: Duration = Duration::from_millis(500);
/// Maximum time of a request. A slower one is repeated.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(3);

/// Measures the age of the knowledge of the feed.
pub(crate) struct FeedAgeMonitor {
    pub(crate) directory: Channel,
    pub(crate) trust: Arc<TrustStore>,
    /// The cursor up to which the follower has applied the feed.
    pub(crate) applied_cursor: watch::Receiver<i64>,
}

impl FeedAgeMonitor {
    /// Passes each result to the [`TrustStore`] until `shutdown`.
    pub(crate) async fn run(mut self, shutdown: CancellationToken) {
        while !shutdown.is_cancelled() {
            tokio::select! {
                () = shutdown.cancelled() => return,
                result = self.measure() => {
                    if let Err(reason) = result {
                        tracing::debug!(reason, "failed to measure the feed's age; retrying");
                    }
                }
            }
            tokio::select! {
                () = shutdown.cancelled() => {}
                () = tokio::time::sleep(PAUSE) => {}
            }
        }
    }

    async fn measure(&mut self) -> Result<(), String> {
        let requested_at = Instant::now();
        let mut client = DirectoryClient::new(self.directory.clone());
        let call = client.get_cursor(GetCursorRequest::default());
        let response = tokio::time::timeout(RESPONSE_TIMEOUT, call)
            .await
            .map_err(|_| "the directory did not respond in time".to_owned())?;
        let head = response
            .map_err(|status| status.to_string())?
            .into_inner()
            .cursor;
        // No timeout: the knowledge is old for as long as the follower is behind.
        self.applied_cursor
            .wait_for(|position| *position >= head)
            .await
            .map_err(|_| "the follower of the feed has stopped".to_owned())?;
        // Another replica may have applied some of the changes, so this process must read their
        // revocations from the database.
        self.trust
            .refresh()
            .await
            .map_err(|error| error.to_string())?;
        self.trust.set_complete_until(requested_at);
        Ok(())
    }
}
