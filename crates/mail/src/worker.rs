//! Takes mails from the outbox and sends them, a few at a time.

use std::{sync::Arc, time::Duration};

use doorward_storage::AnyConnection;
use tokio::{
    task::JoinSet,
    time::{MissedTickBehavior, interval},
};
use tokio_util::sync::CancellationToken;

use crate::{
    Error, MailConfig, OnGiveUp, Outbox,
    deliver::Deliverer,
    store::{self, LeasedMail},
};

/// How many mails are on their way at once, in this process.
const AT_ONCE: usize = 4;
/// Between looks, for what others wrote and for what is due again.
const POLL_INTERVAL: Duration = Duration::from_secs(1);
/// How long a mail is this process's alone: well above all that sending one may take.
const LEASE_DURATION: Duration = Duration::from_secs(120);
/// Between counts of what waits.
const COUNT_INTERVAL: Duration = Duration::from_secs(15);
/// For what is on its way at shutdown. What is cut off then waits for the end of its lease.
const SHUTDOWN_GRACE: Duration = Duration::from_secs(8);

pub struct Worker {
    deliverer: Arc<Deliverer>,
}

impl Worker {
    /// # Errors
    /// When the configuration can't be used.
    pub fn new(outbox: Outbox, config: MailConfig, on_give_up: OnGiveUp) -> Result<Self, Error> {
        let deliverer = Deliverer::new(outbox, config, on_give_up)?;
        Ok(Self {
            deliverer: Arc::new(deliverer),
        })
    }

    /// Until `shutdown`, and until what is being sent by then is sent, within reason.
    pub async fn run(self, shutdown: CancellationToken) {
        let mut looks = interval(POLL_INTERVAL);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut counts = interval(COUNT_INTERVAL);
        counts.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut on_their_way = JoinSet::new();
        self.retry_quarantined().await;
        let mut is_logged = false;
        while !shutdown.is_cancelled() {
            match self.claim(AT_ONCE.saturating_sub(on_their_way.len())).await {
                Ok(mails) => {
                    is_logged = false;
                    for mail in mails {
                        on_their_way.spawn(self.deliverer.clone().deliver(mail));
                    }
                }
                Err(error) if !is_logged => {
                    tracing::warn!(%error, "the outbox can't be read: mails wait");
                    is_logged = true;
                }
                Err(_) => {}
            }
            tokio::select! {
                () = shutdown.cancelled() => {}
                () = self.deliverer.outbox.wait_for_wake() => {}
                _ = looks.tick() => {}
                Some(_) = on_their_way.join_next() => {}
                _ = counts.tick() => self.count_waiting().await,
            }
        }
        let finished = tokio::time::timeout(SHUTDOWN_GRACE, async {
            while on_their_way.join_next().await.is_some() {}
        });
        if finished.await.is_err() {
            tracing::warn!(
                mails = on_their_way.len(),
                "mails that were being sent are tried again later"
            );
        }
    }

    async fn claim(&self, limit: usize) -> Result<Vec<LeasedMail>, doorward_storage::Error> {
        let limit = i64::try_from(limit).unwrap_or(0);
        let (database, now) = (
            &self.deliverer.outbox.database,
            self.deliverer.outbox.clock.now(),
        );
        // Most looks find nothing, and then nothing is locked.
        if limit == 0
            || !database
                .query(move |connection| store::has_due(connection, now))
                .await?
        {
            return Ok(Vec::new());
        }
        let end = now.saturating_add(LEASE_DURATION);
        let claim = move |connection: &mut AnyConnection| store::claim(connection, now, end, limit);
        let claimed = database.write(claim).await?;
        for id_column in claimed.quarantined {
            self.deliverer
                .log_quarantined(&id_column, "a column of its row is not of its type");
        }
        Ok(claimed.mails)
    }

    async fn retry_quarantined(&self) {
        let (database, now) = (
            &self.deliverer.outbox.database,
            self.deliverer.outbox.clock.now(),
        );
        let retried = database
            .write(move |connection| store::retry_quarantined(connection, now))
            .await;
        if let Err(error) = retried {
            tracing::warn!(%error, "mails that were set aside stay so until the next start");
        }
    }

    async fn count_waiting(&self) {
        let database = &self.deliverer.outbox.database;
        if let Ok(count) = database.query(store::count).await {
            #[expect(clippy::cast_precision_loss, reason = "a gauge")]
            metrics::gauge!("doorward_mails_waiting", "database" => database.name())
                .set(count as f64);
        }
    }
}
