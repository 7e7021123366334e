//! Announces a newer version of the published API (`cc.version`) in the feed, once: clients compare it with their own.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::{
    Directory, Error,
    feed::{self, NewChange},
    store,
};

const PAUSE: Duration = Duration::from_secs(5);

/// Tries until the database answers.
pub(crate) async fn tell(directory: Directory, shutdown: CancellationToken) {
    while let Err(error) = directory.note_release(directory.api_version.to_string()).await {
        tracing::warn!(%error, "could not announce the API version to clients yet; trying again");
        if shutdown.run_until_cancelled(tokio::time::sleep(PAUSE)).await.is_none() {
            return;
        }
    }
}

impl Directory {
    /// Announces a version that is newer than the last one announced. An older one is not announced, because both run while
    /// servers are replaced one by one; clients see it at their next init.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn note_release(&self, release: String) -> Result<(), Error> {
        let known = self.database.peek(store::feed::find_release).await?;
        if known.is_some_and(|known| known >= release) {
            return Ok(());
        }
        let clock = self.clock.clone();
        self.change(move |connection| {
            feed::lock(connection)?;
            match store::feed::find_release(connection)? {
                Some(known) if known >= release => return Ok(()),
                // Who is there has seen no other.
                None => store::feed::set_release(connection, &release)?,
                Some(_) => {
                    store::feed::set_release(connection, &release)?;
                    feed::append(connection, vec![NewChange::ApiVersion(release)], &*clock)?;
                }
            }
            Ok(())
        })
        .await
    }
}
