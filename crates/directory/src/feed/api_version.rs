//! Announces a newer version of the published API (`cc.version`) in the feed, once: clients compare
//! it with their own.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::{
    Directory, Error,
    feed::{self, NewChange},
    store,
};

/// Pause between two attempts.
const PAUSE: Duration = Duration::from_secs(5);

/// Announces the API version of this process, and tries again until the database is available.
pub(crate) async fn announce(directory: Directory, shutdown: CancellationToken) {
    while let Err(error) = directory
        .announce_api_version(directory.api_version.to_string())
        .await
    {
        tracing::warn!(%error, "could not announce the API version to clients yet; trying again");
        if shutdown
            .run_until_cancelled(tokio::time::sleep(PAUSE))
            .await
            .is_none()
        {
            return;
        }
    }
}

impl Directory {
    /// Announces a version that is newer than the last announced one. An older version is not
    /// announced, because both run while servers are replaced one by one; clients see it at their
    /// next init.
    ///
    /// # Errors
    /// Database errors.
    pub async fn announce_api_version(&self, version: String) -> Result<(), Error> {
        // The first check needs no lock: usually all processes but one have nothing to announce.
        let known = self
            .database
            .query(store::feed_change::find_api_version)
            .await?;
        if known.is_some_and(|known| known >= version) {
            return Ok(());
        }
        let clock = self.clock.clone();
        self.write(move |connection| {
            feed::lock(connection)?;
            match store::feed_change::find_api_version(connection)? {
                Some(known) if known >= version => return Ok(()),
                // The first start: no client has seen another version.
                None => store::feed_change::set_api_version(connection, &version)?,
                Some(_) => {
                    store::feed_change::set_api_version(connection, &version)?;
                    feed::append(connection, vec![NewChange::ApiVersion(version)], &*clock)?;
                }
            }
            Ok(())
        })
        .await
    }
}
