//! Delivery of one leased mail: compose, send, and record the outcome. It does not know how mails
//! are claimed; see [`worker`](crate::worker) for an example.

use std::{
    collections::HashSet,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use doorward_domain::{Gid, Timestamp};
use doorward_storage::AnyConnection;

use crate::{
    compose::Composer,
    config::{Delivery, MailConfig, parse_from},
    error::Error,
    outbox::Outbox,
    retry::DeliveryError,
    smtp::SmtpTransport,
    store::{self, LeasedMail},
};

/// A mail that will never be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GivenUpMail {
    pub id: Gid,
    /// User whose account the mail was about.
    pub user: Option<Gid>,
    pub kind: String,
    /// Reason, without addresses and codes.
    pub reason: String,
}

/// Called in the transaction that deletes a mail that is given up.
pub type OnGiveUp = Box<
    dyn Fn(&mut AnyConnection, &GivenUpMail, Timestamp) -> Result<(), doorward_storage::Error>
        + Send
        + Sync,
>;

/// Pause between attempts to delete a sent mail.
const PAUSE: Duration = Duration::from_secs(1);

enum Transport {
    Smtp(Box<SmtpTransport>),
    Log,
}

/// The recorded outcome of a mail that was not sent.
enum Outcome {
    Retried,
    GivenUp,
    Quarantined,
    /// A newer mail of its topic exists, so this one was deleted.
    Replaced,
}

/// Delivers the mails of one worker.
pub(crate) struct Deliverer {
    pub(crate) outbox: Outbox,
    transport: Transport,
    composer: Composer,
    on_give_up: OnGiveUp,
    /// Mails that the server accepted and that are still in the outbox, because the database was
    /// unavailable. This process must not send them again.
    sent_ids: Mutex<HashSet<Gid>>,
    /// Whether the log has a message about it, so that each outage is logged once.
    is_server_unavailable: AtomicBool,
}

impl Deliverer {
    pub(crate) fn new(
        outbox: Outbox,
        config: MailConfig,
        on_give_up: OnGiveUp,
    ) -> Result<Self, Error> {
        let composer = Composer {
            from: parse_from(&config.from)?,
            app_url: config.app_url,
        };
        let transport = match &config.delivery {
            Delivery::Smtp(url) => {
                Transport::Smtp(Box::new(SmtpTransport::new(url, &config.ehlo_name)?))
            }
            Delivery::Log => Transport::Log,
        };
        Ok(Self {
            outbox,
            transport,
            composer,
            on_give_up,
            sent_ids: Mutex::default(),
            is_server_unavailable: AtomicBool::new(false),
        })
    }

    /// Sends a mail and records the outcome. A mail whose lease expired during its deletion can be
    /// claimed again by this process; it is then only deleted.
    pub(crate) async fn deliver(self: Arc<Self>, mail: LeasedMail) {
        let is_sent_already = self.acknowledged().contains(&mail.id);
        let sent = if is_sent_already {
            Ok(())
        } else {
            self.send(&mail).await
        };
        match sent {
            Ok(()) => {
                self.acknowledged().insert(mail.id);
                if !is_sent_already {
                    self.count("sent");
                }
                self.delete_sent(mail.id).await;
            }
            Err(failure) => self.retry_later(mail, failure).await,
        }
    }

    async fn send(&self, mail: &LeasedMail) -> Result<(), DeliveryError> {
        if mail
            .expires_at
            .is_some_and(|end| end <= self.outbox.clock.now())
        {
            return Err(DeliveryError::Expired);
        }
        let composed = self.composer.compose(mail, &self.outbox.unseal(mail)?)?;
        match &self.transport {
            Transport::Smtp(server) => {
                let sent = server.send(&composed).await;
                self.log_server_state(sent.as_ref().err());
                sent
            }
            Transport::Log => {
                let to = &mail.recipient;
                let subject = &composed.subject;
                let text = &composed.text;
                tracing::info!(
                    target: "doorward::mail",
                    to, subject, text, "mail written to the log instead of sent"
                );
                Ok(())
            }
        }
    }

    /// Logs once when the server becomes unavailable and once when it is available again.
    fn log_server_state(&self, failure: Option<&DeliveryError>) {
        match failure {
            Some(DeliveryError::ServerUnavailable(reason)) => {
                if !self.is_server_unavailable.swap(true, Ordering::Relaxed) {
                    tracing::warn!(
                        reason,
                        "the mail server is unavailable; mails wait in the outbox"
                    );
                }
            }
            Some(
                DeliveryError::Permanent(_)
                | DeliveryError::Expired
                | DeliveryError::Unreadable(_)
                | DeliveryError::Temporary(_),
            )
            | None => {
                if self.is_server_unavailable.swap(false, Ordering::Relaxed) {
                    tracing::info!("the mail server is available again");
                }
            }
        }
    }

    /// Deletes a sent mail. Retries for as long as the database is unavailable, because a mail that
    /// stays in the outbox would be sent again.
    async fn delete_sent(&self, id: Gid) {
        let delete = move |connection: &mut AnyConnection| store::delete(connection, id);
        let mut is_logged = false;
        while let Err(error) = self.outbox.database.write(delete).await {
            if !is_logged {
                tracing::warn!(%id, %error, "failed to delete a sent mail; retrying");
                is_logged = true;
            }
            tokio::time::sleep(PAUSE).await;
        }
        self.acknowledged().remove(&id);
    }

    /// Records that a mail was not sent: it is retried, given up, quarantined or replaced.
    async fn retry_later(self: Arc<Self>, mail: LeasedMail, failure: DeliveryError) {
        let id = mail.id;
        let kind = mail.kind.clone();
        let reason = failure.reason().to_owned();
        let now = self.outbox.clock.now();
        let next = mail.attempt().next_attempt_at(&failure, now);
        let this = self.clone();
        // A replaced mail is deleted even if it could be retried: its code or link is outdated.
        let written = self.outbox.database.write(move |connection| match next {
            _ if store::is_replaced(connection, &mail)? => {
                store::delete_leased(connection, &mail).map(|_| Outcome::Replaced)
            }
            _ if matches!(failure, DeliveryError::Unreadable(_)) => {
                store::quarantine(connection, &mail.id.to_string(), now)
                    .map(|()| Outcome::Quarantined)
            }
            Some(next) => store::release(connection, &mail, next).map(|()| Outcome::Retried),
            None => this
                .give_up(connection, &mail, &failure, now)
                .map(|()| Outcome::GivenUp),
        });
        match written.await {
            Ok(Outcome::Retried) => {
                tracing::info!(%id, kind, reason, "failed to send a mail; it will be retried");
                self.count("retried");
            }
            Ok(Outcome::GivenUp) => {
                tracing::warn!(%id, kind, reason, "gave up on a mail");
                self.count("given_up");
            }
            Ok(Outcome::Quarantined) => self.log_quarantined(&id.to_string(), &reason),
            Ok(Outcome::Replaced) => {}
            // The row is unchanged, so the mail is due again when its lease ends.
            Err(error) => {
                tracing::warn!(
                    %id, kind, %error,
                    "failed to record the outcome of a mail; it will be retried"
                );
            }
        }
    }

    /// Deletes a mail and calls the service, unless another process has the lease now.
    fn give_up(
        &self,
        connection: &mut AnyConnection,
        mail: &LeasedMail,
        failure: &DeliveryError,
        now: Timestamp,
    ) -> Result<(), doorward_storage::Error> {
        if !store::delete_leased(connection, mail)? {
            return Ok(());
        }
        let reason = failure.reason().to_owned();
        let given_up = GivenUpMail {
            id: mail.id,
            user: mail.user,
            kind: mail.kind.clone(),
            reason,
        };
        (self.on_give_up)(connection, &given_up, now)
    }

    pub(crate) fn log_quarantined(&self, id: &str, reason: &str) {
        tracing::error!(
            id,
            reason,
            "quarantined a mail that cannot be read; it will be retried at the next start"
        );
        self.count("set_aside");
    }

    fn count(&self, outcome: &'static str) {
        let database = self.outbox.database.name();
        metrics::counter!("doorward_mails_total", "outcome" => outcome, "database" => database)
            .increment(1);
    }

    fn acknowledged(&self) -> MutexGuard<'_, HashSet<Gid>> {
        self.sent_ids.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
