//! How old auth's knowledge of the directory's feed is.
//!
//! The directory is asked for the head of its feed, and the time before the question is noted. Once the follower has applied
//! the feed up to that head, every deactivation that was committed before that time is known here. A stream that is cut,
//! silent, or behind counts as not followed, a quiet feed as followed, and no clock of another machine matters. Example:
//!
//! ```text
//! 0.0 s  asks for the head: 41
//! 0.1 s  the follower has applied 41: complete as of 0.0 s
//! 0.6 s  asks again: 43, but the follower is stuck at 42
//! 10.0 s still complete as of 0.0 s: tokens are no longer vouched for
//! ```

use std::{sync::Arc, time::Duration};

use doorward_rpc::{
    Channel,
    directory::v1::{GetCursorRequest, directory_client::DirectoryClient},
};
use tokio::{sync::watch, time::Instant};
use tokio_util::sync::CancellationToken;

use crate::tokens::trust_store::TrustStore;

/// Between two questions, and after a failed one.
const PAUSE: Duration = Duration::from_millis(500);
/// A question that takes longer is asked again.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(3);

pub(crate) struct FeedAgeMonitor {
    pub(crate) directory: Channel,
    pub(crate) trust: Arc<TrustStore>,
    /// The cursor up to which the follower has applied the feed.
    pub(crate) applied_cursor: watch::Receiver<i64>,
}

impl FeedAgeMonitor {
    /// Keeps [`TrustStore`] informed until `shutdown`.
    pub(crate) async fn run(mut self, shutdown: CancellationToken) {
        while !shutdown.is_cancelled() {
            tokio::select! {
                () = shutdown.cancelled() => return,
                done = self.measure() => if let Err(reason) = done {
                    tracing::debug!(reason, "cannot tell how old the knowledge of the directory's feed is");
                }
            }
            tokio::select! {
                () = shutdown.cancelled() => {}
                () = tokio::time::sleep(PAUSE) => {}
            }
        }
    }

    async fn measure(&mut self) -> Result<(), String> {
        let asked_at = Instant::now();
        let mut client = DirectoryClient::new(self.directory.clone());
        let question = client.get_cursor(GetCursorRequest::default());
        let answer = tokio::time::timeout(ANSWER_TIMEOUT, question)
            .await
            .map_err(|_| "no answer".to_owned())?;
        let head = answer
            .map_err(|status| status.to_string())?
            .into_inner()
            .cursor;
        self.applied_cursor
            .wait_for(|position| *position >= head)
            .await
            .map_err(|_| "the follower has ended".to_owned())?;
        // Another replica may have applied some of it.
        self.trust
            .refresh()
            .await
            .map_err(|error| error.to_string())?;
        self.trust.set_complete_until(asked_at);
        Ok(())
    }
}
