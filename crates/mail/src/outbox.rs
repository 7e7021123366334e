//! The outbox: mails are rows, written in the transaction that causes them. It does not know how
//! they are sent.
//!
//! # Example
//!
//! A member invites Ann and then invites her again. Both mails have the topic `invitation/7/ann`.
//!
//! 1. The first transaction inserts the membership and mail A. If it rolls back, there is no mail.
//! 2. The second transaction locks the topic, deletes mail A because it still waits, and inserts
//!    mail B. Ann gets one mail, with the link that is valid. Without the lock, two such
//!    transactions at the same time would not see each other's rows, and both mails would stay.
//! 3. If a worker has a lease on mail A at step 2, the mail may be on the wire, so its row stays.
//!    If that attempt fails, the row is deleted instead of retried, because mail B has replaced it.

use std::sync::Arc;

use doorward_domain::{Clock, Email, Gid, Timestamp};
use doorward_storage::{AnyConnection, Database};
use tokio::sync::Notify;

use crate::{
    content::MailContent,
    error::Error,
    retry::DeliveryError,
    sealing::{ContentSealer, SealError},
    store::{self, LeasedMail, Row, StoredContent},
};

/// A mail to write.
pub struct NewMail {
    pub id: Gid,
    pub recipient: Email,
    /// Language code such as `nl-be`.
    pub language: String,
    pub content: MailContent,
    /// Topic; a waiting mail of the same topic is replaced, such as an invitation that is sent
    /// again.
    pub topic: Option<String>,
    /// Time after which the mail is no longer sent, such as the expiry of the code in it.
    pub expires_at: Option<Timestamp>,
    /// User whose account the mail is about, for the audit trail.
    pub user: Option<Gid>,
}

/// The outbox of a service.
#[derive(Clone)]
pub struct Outbox {
    pub(crate) database: Database,
    pub(crate) clock: Arc<dyn Clock>,
    sealer: Arc<dyn ContentSealer>,
    wake_up: Arc<Notify>,
}

impl Outbox {
    #[must_use]
    pub fn new(database: Database, clock: Arc<dyn Clock>, sealer: Arc<dyn ContentSealer>) -> Self {
        Self {
            database,
            clock,
            sealer,
            wake_up: Arc::default(),
        }
    }

    /// Writes a mail within the caller's transaction. It replaces a waiting mail of the same topic.
    /// A mail of the topic that is being sent now is not retried if that attempt fails.
    ///
    /// # Errors
    /// Database errors; [`Error::Other`](doorward_storage::Error::Other) if the content cannot be
    /// sealed.
    pub fn enqueue(
        &self,
        connection: &mut AnyConnection,
        mail: NewMail,
        now: Timestamp,
    ) -> Result<(), doorward_storage::Error> {
        let other =
            |error: &dyn std::fmt::Display| doorward_storage::Error::Other(error.to_string());
        if let Some(topic) = &mail.topic {
            store::lock_topic(connection, topic)?;
            store::delete_waiting(connection, topic, now)?;
        }
        let content = serde_json::to_string(&mail.content).map_err(|error| other(&error))?;
        let id = mail.id.to_string();
        let row = Row {
            content: self
                .sealer
                .seal(&associated_data(&id), &content)
                .map_err(|error| other(&error))?,
            id,
            recipient: mail.recipient.delivery_address().to_owned(),
            language: mail.language,
            kind: mail.content.kind().to_owned(),
            topic: mail.topic,
            user_gid: mail.user.map(|gid| gid.to_string()),
            created_at: now.as_micros(),
            expires_at: mail.expires_at.map(Timestamp::as_micros),
            attempts: 0,
            next_attempt_at: now.as_micros(),
            leased_until: None,
        };
        store::insert(connection, &row)
    }

    /// Deletes the waiting mails of a topic within the caller's transaction. A mail that is being
    /// sent now is not stopped.
    ///
    /// # Errors
    /// Database errors.
    pub fn cancel(
        &self,
        connection: &mut AnyConnection,
        topic: &str,
        now: Timestamp,
    ) -> Result<(), doorward_storage::Error> {
        store::delete_waiting(connection, topic, now)
    }

    /// Makes the worker of this process poll immediately. Must be called after the commit; before
    /// it, the worker would find nothing.
    pub fn wake_worker(&self) {
        self.wake_up.notify_one();
    }

    pub(crate) async fn wait_for_wake(&self) {
        self.wake_up.notified().await;
    }

    /// Unseals and parses the content of a mail.
    ///
    /// # Errors
    /// [`DeliveryError::Unreadable`] if another release wrote it, or if the key was just replaced.
    pub(crate) fn unseal(&self, mail: &LeasedMail) -> Result<MailContent, DeliveryError> {
        let unreadable = |error: &dyn std::fmt::Display| {
            DeliveryError::Unreadable(format!("unreadable: {error}"))
        };
        let content = self
            .sealer
            .unseal(&associated_data(&mail.id.to_string()), &mail.content)
            .map_err(|error| unreadable(&error))?;
        // The error of serde is not used: it could quote a part of the content.
        serde_json::from_str(&content)
            .map_err(|_| unreadable(&"not a kind of content that this release knows"))
    }
}

/// Returns the associated data with which the content of a mail is sealed.
#[must_use]
pub fn associated_data(id: &str) -> String {
    format!("outbox/{id}")
}

/// Returns whether there is any mail, including quarantined ones.
///
/// # Errors
/// Database errors.
pub fn has_mails(connection: &mut AnyConnection) -> Result<bool, doorward_storage::Error> {
    Ok(!store::list_contents(connection, "", 1)?.is_empty())
}

/// Number of mails that [`reseal`] reads at once.
const PAGE: i64 = 1000;

/// Unseals the content of all mails with the old key and seals it with the new one, within the
/// caller's transaction. Quarantined content that cannot be unsealed stays as it is.
///
/// # Errors
/// Database errors; [`SealError`] if other content was not sealed with the old key.
pub fn reseal(
    connection: &mut AnyConnection,
    old: &dyn ContentSealer,
    new: &dyn ContentSealer,
) -> Result<(), Error> {
    let reseal_content = |id: &str, sealed: &str| -> Result<String, SealError> {
        let associated_data = associated_data(id);
        new.seal(&associated_data, &old.unseal(&associated_data, sealed)?)
    };
    let mut after = String::new();
    loop {
        let page = store::list_contents(connection, &after, PAGE)?;
        let Some(last) = page.last() else {
            return Ok(());
        };
        after.clone_from(&last.id);
        for StoredContent {
            id,
            content,
            quarantined_at,
        } in page
        {
            match reseal_content(&id, &content) {
                Ok(resealed) => store::set_content(connection, &id, &resealed)?,
                Err(_) if quarantined_at.is_some() => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}
