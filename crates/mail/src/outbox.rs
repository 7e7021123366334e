//! Where mails are written, in the transaction that causes them.

use std::sync::Arc;

use doorward_domain::{Clock, Email, Gid, Timestamp};
use doorward_storage::{AnyConnection, Database};
use tokio::sync::Notify;

use crate::{
    ContentSealer, MailContent, SealError,
    retry::DeliveryError,
    store::{self, LeasedMail, Row, StoredContent},
};

pub struct NewMail {
    pub id: Gid,
    pub recipient: Email,
    /// A code such as `nl-be`.
    pub language: String,
    pub content: MailContent,
    /// A mail that still waits with the same topic is replaced: a code that is asked for again.
    pub topic: Option<String>,
    /// Not sent any more from then on, such as when the code in it has expired.
    pub expires_at: Option<Timestamp>,
    /// Whose account it is about, for the audit trail.
    pub user: Option<Gid>,
}

#[derive(Clone)]
pub struct Outbox {
    pub(crate) database: Database,
    pub(crate) clock: Arc<dyn Clock>,
    seal: Arc<dyn ContentSealer>,
    woken: Arc<Notify>,
}

impl Outbox {
    #[must_use]
    pub fn new(database: Database, clock: Arc<dyn Clock>, seal: Arc<dyn ContentSealer>) -> Self {
        Self {
            database,
            clock,
            seal,
            woken: Arc::default(),
        }
    }

    /// Writes a mail within the caller's transaction. It replaces what waits with the same topic; what is being sent
    /// meanwhile is tried no second time.
    ///
    /// # Errors
    /// Those of the database, and when the letter can't be sealed.
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
        let letter = serde_json::to_string(&mail.content).map_err(|error| other(&error))?;
        let id = mail.id.to_string();
        let row = Row {
            content: self
                .seal
                .seal(&associated_data(&id), &letter)
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

    /// Deletes the mails of a topic that nothing needs any more, within the caller's transaction. What is being sent meanwhile
    /// is not stopped.
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

    /// To be called after the commit: the worker of this process looks at once.
    pub fn wake_worker(&self) {
        self.woken.notify_one();
    }

    pub(crate) async fn wait_for_wake(&self) {
        self.woken.notified().await;
    }

    /// Returns what a mail says.
    ///
    /// # Errors
    /// [`DeliveryError::Unreadable`]: it may be of another release, or its key may just be replaced.
    pub(crate) fn unseal(&self, mail: &LeasedMail) -> Result<MailContent, DeliveryError> {
        let unreadable = |error: &dyn std::fmt::Display| {
            DeliveryError::Unreadable(format!("unreadable: {error}"))
        };
        let letter = self
            .seal
            .open(&associated_data(&mail.id.to_string()), &mail.content)
            .map_err(|error| unreadable(&error))?;
        // Its own words could repeat a piece of the letter.
        serde_json::from_str(&letter)
            .map_err(|_| unreadable(&"not a letter that this release knows"))
    }
}

/// Returns what a letter is bound to when it is sealed: [`ContentSealer::seal`] takes it as `place`.
#[must_use]
pub fn associated_data(id: &str) -> String {
    format!("outbox/{id}")
}

/// Returns whether there is any mail, also one that was set aside.
///
/// # Errors
/// Errors of the database.
pub fn has_mails(connection: &mut AnyConnection) -> Result<bool, doorward_storage::Error> {
    Ok(!store::list_contents(connection, "", 1)?.is_empty())
}

const PAGE: i64 = 1000;

/// Opens all letters with the old key and seals them with the new one, within the caller's transaction. Letters that were set
/// aside and don't open stay as they are.
///
/// # Errors
/// Those of the database; [`SealError`] when the old key isn't the one that sealed them.
pub fn reseal(
    connection: &mut AnyConnection,
    old: &dyn ContentSealer,
    new: &dyn ContentSealer,
) -> Result<(), crate::Error> {
    let again = |id: &str, sealed: &str| -> Result<String, SealError> {
        let place = associated_data(id);
        new.seal(&place, &old.open(&place, sealed)?)
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
            content: letter,
            quarantined_at,
        } in page
        {
            match again(&id, &letter) {
                Ok(resealed) => store::set_content(connection, &id, &resealed)?,
                Err(_) if quarantined_at.is_some() => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}
