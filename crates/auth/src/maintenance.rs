//! What is kept for a time only, and goes when that is over.

use std::{sync::Arc, time::Duration};

use doorward_domain::Clock;
use doorward_storage::{AnyConnection, Database};
use tokio_util::sync::CancellationToken;

use crate::{Config, Error, accounts::codes, store, throttle};

const INTERVAL: Duration = Duration::from_secs(60);

pub(crate) struct Maintenance {
    pub(crate) database: Database,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) config: Arc<Config>,
}

impl Maintenance {
    pub(crate) async fn run(self, shutdown: CancellationToken) {
        let mut interval = tokio::time::interval(INTERVAL);
        while shutdown
            .run_until_cancelled(interval.tick())
            .await
            .is_some()
        {
            if let Err(error) = self.delete_expired().await {
                tracing::warn!(%error, "what is too old stays for now");
            }
        }
    }

    async fn delete_expired(&self) -> Result<(), Error> {
        let (now, config) = (self.clock.now(), self.config.clone());
        for kind in throttle::BucketKind::ALL {
            let config = config.clone();
            self.database
                .write(move |connection| {
                    throttle::delete_decayed(connection, kind, &config.throttle, now)
                })
                .await?;
        }
        let forget = move |connection: &mut AnyConnection| {
            codes::delete_expired(connection, now)?;
            Ok::<_, Error>(store::known_network::delete_older(
                connection,
                now,
                throttle::KNOWN_NETWORK_LIFETIME,
            )?)
        };
        self.database.write(forget).await?;
        let cut = now.saturating_sub(self.config.audit_retention);
        // In small transactions, between which others have their turn.
        while self
            .database
            .write(move |connection| Ok::<_, Error>(store::audit::delete_before(connection, cut)?))
            .await?
        {}
        Ok(())
    }
}
