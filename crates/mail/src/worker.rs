//! Claims mails from the outbox and passes them to the delivery, a few at a time. It does not know
//! what happens to a mail.
//!
//! # Example
//!
//! The replicas A and B share an outbox with one mail, which is due at 0 s.
//!
//! 1. A claims the mail at 0 s. Its lease ends at 120 s, and it is not due before that. B skips the
//!    row while A's transaction has it locked, and finds no due mail afterwards.
//! 2. The mail server replies 451 (not now). A ends the lease and makes the mail due at 5 s. The
//!    replica that polls first claims it for the second attempt.
//! 3. The mail server accepts the mail at the second attempt. The replica deletes the row.
//!
//! If A is killed during step 1 or 2, the mail is due again at 120 s, and B claims it. If the mail
//! server had accepted it before A was killed, the mail is sent twice, with the same `Message-ID`.
//!
//! If A is only slow and finishes after 120 s, when B has the lease: a failure changes nothing,
//! because [`store::release`] compares the end of the lease; an acceptance deletes the row.

use std::{sync::Arc, time::Duration};

use doorward_storage::AnyConnection;
use tokio::{
    task::JoinSet,
    time::{MissedTickBehavior, interval},
};
use tokio_util::sync::CancellationToken;

use crate::{
    config::MailConfig,
    deliver::{Deliverer, OnGiveUp},
    error::Error,
    outbox::Outbox,
    store::{self, LeasedMail},
};

/// Maximum number of mails in flight in this process.
const MAX_IN_FLIGHT: usize = 4;
/// Interval of polls. They find mails that other processes wrote and mails that are due again.
const POLL_INTERVAL: Duration = Duration::from_secs(1);
/// Duration of a lease. It exceeds the maximum time to send a mail (60 s) plus the difference that
/// the clocks of replicas may have (less than 60 s).
const LEASE_DURATION: Duration = Duration::from_secs(120);
/// Interval between counts of waiting mails, for the metric.
const COUNT_INTERVAL: Duration = Duration::from_secs(15);
/// Time at shutdown for mails in flight. A mail that takes longer is due again when its lease ends.
const SHUTDOWN_GRACE: Duration = Duration::from_secs(8);

/// Sends the mails of an outbox.
pub struct Worker {
    deliverer: Arc<Deliverer>,
}

impl Worker {
    /// Returns a worker that has not started.
    ///
    /// # Errors
    /// [`Error::Config`] if a setting is invalid.
    pub fn new(outbox: Outbox, config: MailConfig, on_give_up: OnGiveUp) -> Result<Self, Error> {
        let deliverer = Deliverer::new(outbox, config, on_give_up)?;
        Ok(Self {
            deliverer: Arc::new(deliverer),
        })
    }

    /// Sends mails until `shutdown`, and then waits for mails in flight, but at most 8 s.
    pub async fn run(self, shutdown: CancellationToken) {
        let mut polls = interval(POLL_INTERVAL);
        polls.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut counts = interval(COUNT_INTERVAL);
        counts.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut in_flight = JoinSet::new();
        self.retry_quarantined().await;
        let mut is_logged = false;
        while !shutdown.is_cancelled() {
            match self
                .claim(MAX_IN_FLIGHT.saturating_sub(in_flight.len()))
                .await
            {
                Ok(mails) => {
                    is_logged = false;
                    for mail in mails {
                        in_flight.spawn(self.deliverer.clone().deliver(mail));
                    }
                }
                Err(error) if !is_logged => {
                    tracing::warn!(%error, "failed to read the outbox; mails wait; retrying");
                    is_logged = true;
                }
                Err(_) => {}
            }
            tokio::select! {
                () = shutdown.cancelled() => {}
                () = self.deliverer.outbox.wait_for_wake() => {}
                _ = polls.tick() => {}
                Some(_) = in_flight.join_next() => {}
                _ = counts.tick() => self.count_waiting().await,
            }
        }
        let finished = tokio::time::timeout(SHUTDOWN_GRACE, async {
            while in_flight.join_next().await.is_some() {}
        });
        if finished.await.is_err() {
            tracing::warn!(
                mails = in_flight.len(),
                "mails were in flight at shutdown; they will be retried when their leases end"
            );
        }
    }

    /// Claims due mails, at most `limit`.
    async fn claim(&self, limit: usize) -> Result<Vec<LeasedMail>, doorward_storage::Error> {
        let limit = i64::try_from(limit).unwrap_or(0);
        let database = &self.deliverer.outbox.database;
        let now = self.deliverer.outbox.clock.now();
        // Most polls find nothing. This query takes no write lock, which in SQLite would block
        // all other writers every second.
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
        for id in claimed.quarantined {
            self.deliverer
                .log_quarantined(&id, "a column of its row has the wrong type");
        }
        Ok(claimed.mails)
    }

    /// Makes quarantined mails due again, once at each start.
    async fn retry_quarantined(&self) {
        let database = &self.deliverer.outbox.database;
        let now = self.deliverer.outbox.clock.now();
        let retried = database
            .write(move |connection| store::retry_quarantined(connection, now))
            .await;
        if let Err(error) = retried {
            tracing::warn!(
                %error,
                "failed to retry quarantined mails; they stay quarantined until the next start"
            );
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
