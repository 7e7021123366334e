//! The rules of the directory: the type whose methods are spread over the files of the crate, its
//! settings, and the transactions of its changes.

use std::sync::Arc;

use doorward_domain::{ApiVersion, Clock, IdGenerator};
use doorward_mail::{MailConfig, Outbox, PlainContent, Worker};
use doorward_storage::{AnyConnection, Database};
use tokio::sync::watch;

use crate::{Error, Limits, feed::head::FeedHead};

/// Default languages of a new project.
pub const DEFAULT_PROJECT_LANGUAGES: [&str; 2] = ["en", "nl"];

/// The rules of the directory over its database: for its own gRPC service and for administration.
#[derive(Clone)]
pub struct Directory {
    pub(crate) database: Database,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) ids: Arc<dyn IdGenerator>,
    pub(crate) feed_head: Arc<FeedHead>,
    /// Notified after each committed change of this process or another one.
    pub(crate) feed_changed: watch::Sender<()>,
    /// None: no mails are sent.
    pub(crate) outbox: Option<Outbox>,
    /// Languages of a new project.
    pub(crate) default_languages: Arc<[String]>,
    /// The version of the published API that clients see.
    pub(crate) api_version: ApiVersion,
    pub(crate) limits: Limits,
}

impl Directory {
    /// Returns a directory with default settings that sends no mails.
    #[must_use]
    pub fn new(database: Database, clock: Arc<dyn Clock>, ids: Arc<dyn IdGenerator>) -> Self {
        Self {
            database,
            clock,
            ids,
            feed_head: Arc::default(),
            feed_changed: watch::Sender::new(()),
            outbox: None,
            default_languages: DEFAULT_PROJECT_LANGUAGES.map(str::to_owned).into(),
            api_version: ApiVersion::default(),
            limits: Limits::default(),
        }
    }

    /// Sets the languages of new projects: codes of the global list, at least one, without
    /// duplicates.
    #[must_use]
    pub fn with_project_languages(self, languages: Vec<String>) -> Self {
        Self {
            default_languages: languages.into(),
            ..self
        }
    }

    /// Sets the version of the published API that the feed announces.
    #[must_use]
    pub fn with_api_version(self, api_version: ApiVersion) -> Self {
        Self {
            api_version,
            ..self
        }
    }

    /// Writes mails to the outbox, in the transactions that cause them.
    #[must_use]
    pub fn with_outbox(mut self) -> Self {
        self.outbox = Some(Outbox::new(
            self.database.clone(),
            self.clock.clone(),
            Arc::new(PlainContent),
        ));
        self
    }

    /// Sets the limits on what users can add.
    #[must_use]
    pub fn with_limits(self, limits: Limits) -> Self {
        Self { limits, ..self }
    }

    /// Returns the worker that sends the mails of the outbox, or None without an outbox.
    ///
    /// # Errors
    /// [`doorward_mail::Error`] if the configuration is invalid.
    pub fn mail_worker(&self, config: MailConfig) -> Result<Option<Worker>, doorward_mail::Error> {
        let worker = |outbox| Worker::new(outbox, config, Box::new(|_, _, _| Ok(())));
        self.outbox.clone().map(worker).transpose()
    }

    #[must_use]
    pub fn database(&self) -> &Database {
        &self.database
    }

    /// Runs a change in one transaction, and wakes up the streams of this process after the commit.
    pub(crate) async fn write<T, F>(&self, work: F) -> Result<T, Error>
    where
        F: FnOnce(&mut AnyConnection) -> Result<T, Error> + Send + 'static,
        T: Send + 'static,
    {
        let result = self.database.write(work).await;
        if result.is_ok() {
            self.feed_changed.send_replace(());
        }
        result
    }

    /// Returns the last cursor that was assigned, as of some moment after the call.
    ///
    /// # Errors
    /// Database errors.
    pub async fn feed_head(&self) -> Result<i64, Error> {
        self.feed_head.read(&self.database).await
    }
}
