//! One mail: read, composed, sent, and what follows.

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
    Delivery, Error, MailConfig, Outbox,
    compose::Composer,
    config::parse_from,
    retry::DeliveryError,
    smtp::SmtpTransport,
    store::{self, LeasedMail},
};

/// A mail that will never be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GivenUpMail {
    pub id: Gid,
    /// Whose account it was about.
    pub user: Option<Gid>,
    pub kind: String,
    /// Without addresses and codes.
    pub reason: String,
}

/// Runs in the transaction in which the mail goes.
pub type OnGiveUp = Box<
    dyn Fn(&mut AnyConnection, &GivenUpMail, Timestamp) -> Result<(), doorward_storage::Error>
        + Send
        + Sync,
>;

/// Between tries to delete what was sent.
const PAUSE: Duration = Duration::from_secs(1);

enum Transport {
    Smtp(Box<SmtpTransport>),
    Log,
}

/// Of a mail that wasn't sent.
enum Outcome {
    Retried,
    GivenUpMail,
    SetAside,
    /// A newer one of its topic is on its way in its place.
    Replaced,
}

/// What the mails of a worker have in common.
pub(crate) struct Deliverer {
    pub(crate) outbox: Outbox,
    transport: Transport,
    composer: Composer,
    on_give_up: OnGiveUp,
    /// Sent, and not deleted yet: never to be sent again.
    sent_ids: Mutex<HashSet<Gid>>,
    /// Whether the log tells of it already.
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
        let way = match &config.delivery {
            Delivery::Smtp(url) => {
                Transport::Smtp(Box::new(SmtpTransport::new(url, &config.ehlo_name)?))
            }
            Delivery::Log => Transport::Log,
        };
        Ok(Self {
            outbox,
            transport: way,
            composer,
            on_give_up,
            sent_ids: Mutex::default(),
            is_server_unavailable: AtomicBool::new(false),
        })
    }

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
                let (to, subject, text) = (&mail.recipient, &composed.subject, &composed.text);
                tracing::info!(target: "doorward::mail", to, subject, text, "a mail that is not sent");
                Ok(())
            }
        }
    }

    /// Tells once when the server goes away, and once when it is back.
    fn log_server_state(&self, failure: Option<&DeliveryError>) {
        match failure {
            Some(DeliveryError::Away(reason)) => {
                if !self.is_server_unavailable.swap(true, Ordering::Relaxed) {
                    tracing::warn!(reason, "the mail server can't be used: mails wait");
                }
            }
            Some(
                DeliveryError::Refused(_)
                | DeliveryError::Expired
                | DeliveryError::Unreadable(_)
                | DeliveryError::Later(_),
            )
            | None => {
                if self.is_server_unavailable.swap(false, Ordering::Relaxed) {
                    tracing::info!("the mail server can be used again");
                }
            }
        }
    }

    /// However long the database is away: what was sent must not stay.
    async fn delete_sent(&self, id: Gid) {
        let delete = move |connection: &mut AnyConnection| store::delete(connection, id);
        let mut is_logged = false;
        while let Err(error) = self.outbox.database.write(delete).await {
            if !is_logged {
                tracing::warn!(%id, %error, "a mail that was sent can't be deleted yet");
                is_logged = true;
            }
            tokio::time::sleep(PAUSE).await;
        }
        self.acknowledged().remove(&id);
    }

    async fn retry_later(self: Arc<Self>, mail: LeasedMail, failure: DeliveryError) {
        let (id, kind, reason) = (mail.id, mail.kind.clone(), failure.reason().to_owned());
        let now = self.outbox.clock.now();
        let next = mail.attempt().next_attempt_at(&failure, now);
        let this = self.clone();
        let written = self.outbox.database.write(move |connection| match next {
            _ if store::is_replaced(connection, &mail)? => {
                store::delete_leased(connection, &mail).map(|_| Outcome::Replaced)
            }
            _ if matches!(failure, DeliveryError::Unreadable(_)) => {
                store::quarantine(connection, &mail.id.to_string(), now).map(|()| Outcome::SetAside)
            }
            Some(next) => store::release(connection, &mail, next).map(|()| Outcome::Retried),
            None => this
                .give_up(connection, &mail, &failure, now)
                .map(|()| Outcome::GivenUpMail),
        });
        match written.await {
            Ok(Outcome::Retried) => {
                tracing::info!(%id, kind, reason, "a mail is tried again later");
                self.count("retried");
            }
            Ok(Outcome::GivenUpMail) => {
                tracing::warn!(%id, kind, reason, "a mail is given up");
                self.count("given_up");
            }
            Ok(Outcome::SetAside) => self.log_quarantined(&id.to_string(), &reason),
            Ok(Outcome::Replaced) => {}
            // It is tried again when the lease ends.
            Err(error) => {
                tracing::warn!(%id, kind, %error, "what became of a mail can't be written down")
            }
        }
    }

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
            "a mail can't be read and is set aside; the next start tries it again"
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
