//! The directory service: users, projects, memberships, and the feed of all changes. It does not
//! know passwords or users' tokens.

mod caller;
mod error;
mod feed;
mod limits;
mod media;
mod members;
pub mod model;
mod policy;
mod projects;
mod service;
mod service_tokens;
mod store;
pub mod transfer;
mod users;
mod visibility;

use std::{sync::Arc, time::Duration};

use diesel_migrations::{EmbeddedMigrations, embed_migrations};
use doorward_domain::{ApiVersion, Clock, IdGenerator};
use doorward_mail::{MailConfig, Outbox, PlainContent, Worker};
use doorward_rpc::{
    ServiceToken,
    directory::v1::directory_server::DirectoryServer,
    server::{self, Listeners},
};
use doorward_service_tokens::{AuthenticatedService, ClientAuthenticator};
use doorward_storage::{AnyConnection, Database, Migrations, listen};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;

pub use crate::feed::publish::PublishedRow;
pub use crate::feed::sync::{SyncCursors, SyncPage, SyncRow};
pub use crate::members::invitations::Member;
pub use crate::members::views::{MemberChange, NotificationsChange, VisibleMembers};
pub use crate::projects::init::ProjectInit;
pub use crate::projects::lifecycle::ProjectChange;
pub use crate::projects::options::{FullProject, LanguageChange, ListRef};
pub use crate::users::accounts::{AccountQuery, NewAccount, UserChange};
pub use crate::users::administration::UserEdit;
pub use crate::users::email_conflicts::EmailConflict;
pub use crate::users::init::Init;
pub use crate::users::lifecycle::NewUser;
pub use crate::users::login::LoginIdentifier;
pub use caller::{Actor, Caller};
pub use error::Error;
pub use limits::Limits;

const POSTGRES: EmbeddedMigrations = embed_migrations!("migrations/postgres");
const SQLITE: EmbeddedMigrations = embed_migrations!("migrations/sqlite");
/// Migrations of the directory's database.
pub const MIGRATIONS: Migrations = Migrations {
    postgres: POSTGRES,
    sqlite: SQLITE,
    owner_table: "feed_head",
    data_migrations: &[users::email_conflicts::STEP],
};

/// The rules of the directory over its database: for its own gRPC service and for administration.
#[derive(Clone)]
pub struct Directory {
    database: Database,
    clock: Arc<dyn Clock>,
    ids: Arc<dyn IdGenerator>,
    feed_head_cache: Arc<feed::head::FeedHead>,
    /// Notified after each committed change of this process or another one.
    feed_changed: watch::Sender<()>,
    /// None: no mails are sent.
    outbox: Option<Outbox>,
    /// Languages of a new project.
    default_languages: Arc<[String]>,
    /// The version of the published API that clients see.
    api_version: ApiVersion,
    limits: Limits,
}

/// Default languages of a new project.
pub const DEFAULT_PROJECT_LANGUAGES: [&str; 2] = ["en", "nl"];

impl Directory {
    /// Returns a directory with default settings that sends no mails.
    #[must_use]
    pub fn new(database: Database, clock: Arc<dyn Clock>, ids: Arc<dyn IdGenerator>) -> Self {
        Self {
            database,
            clock,
            ids,
            feed_head_cache: Arc::default(),
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
    async fn write<T, F>(&self, work: F) -> Result<T, Error>
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
}

/// Serves the directory over gRPC until `shutdown`. Rows of the feed are stored for
/// `feed_retention`.
///
/// # Errors
/// Transport errors of a listener.
pub async fn serve(
    directory: Directory,
    feed_retention: Duration,
    listeners: Listeners,
    token: ServiceToken,
    shutdown: CancellationToken,
) -> Result<(), tonic::transport::Error> {
    tokio::spawn(feed::retention::run(
        directory.clone(),
        feed_retention,
        shutdown.clone(),
    ));
    tokio::spawn(feed::release::announce(directory.clone(), shutdown.clone()));
    // Changes of other processes with the same database wake up the streams of this one.
    let feed_changed = directory.feed_changed.clone();
    listen(
        directory.database.url(),
        feed::new_change::NOTIFY_CHANNEL,
        move || feed_changed.send_replace(()),
        shutdown.clone(),
    );
    let database = directory.database.clone();
    let authenticator = ClientAuthenticator::start(database.clone(), token, &shutdown);
    let is_ready = server::watch_readiness(
        move || {
            let database = database.clone();
            async move { database.check_writable().await.is_ok() }
        },
        &shutdown,
    );
    let service = DirectoryServer::new(service::Service {
        directory,
        shutdown: shutdown.clone(),
    });
    let routes = Routes::new(AuthenticatedService::new(service, authenticator));
    server::serve(
        "doorward.directory.v1.Directory",
        routes,
        listeners,
        is_ready,
        shutdown,
    )
    .await
}
