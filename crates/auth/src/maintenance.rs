//! Maintenance: deletes expired counts, codes, known networks and audit records, at the start and
//! every minute.

use std::{sync::Arc, time::Duration};

use doorward_domain::Clock;
use doorward_storage::Database;
use tokio_util::sync::CancellationToken;

use crate::{accounts::codes, config::Config, error::Error, store, throttle};

/// Time between two runs.
const INTERVAL: Duration = Duration::from_secs(60);

/// The periodic deletion of expired rows.
pub(crate) struct Maintenance {
    pub(crate) database: Database,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) config: Arc<Config>,
}

impl Maintenance {
    /// Runs until `shutdown`. After an error, the next run tries again.
    pub(crate) async fn run(self, shutdown: CancellationToken) {
        let mut interval = tokio::time::interval(INTERVAL);
        while shutdown
            .run_until_cancelled(interval.tick())
            .await
            .is_some()
        {
            if let Err(error) = self.delete_expired().await {
                tracing::warn!(%error, "failed to delete expired rows; retrying in a minute");
            }
        }
    }

    async fn delete_expired(&self) -> Result<(), Error> {
        let now = self.clock.now();
        for kind in throttle::BucketKind::ALL {
            let config = self.config.clone();
            self.database
                .write(move |connection| {
                    throttle::delete_decayed(connection, kind, &config.throttle, now)
                })
                .await?;
        }
        // Two transactions, because others lock rows of both tables in the opposite order.
        self.database
            .write(move |connection| codes::delete_expired(connection, now))
            .await?;
        self.database
            .write(move |connection| {
                let lifetime = throttle::KNOWN_NETWORK_LIFETIME;
                Ok::<_, Error>(store::known_network::delete_older(
                    connection, now, lifetime,
                )?)
            })
            .await?;
        let cut = now.saturating_sub(self.config.audit_retention);
        // Small transactions, so that others are not delayed for long.
        while self
            .database
            .write(move |connection| Ok::<_, Error>(store::audit::delete_before(connection, cut)?))
            .await?
        {}
        Ok(())
    }
}
