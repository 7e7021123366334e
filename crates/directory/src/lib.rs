//! The directory: people and projects, who is in what, and the feed of every change. It knows no password and no token.

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
    /// Told of each change.
    feed_changed: watch::Sender<()>,
    /// None: no mails are sent.
    outbox: Option<Outbox>,
    /// Languages of a new project.
    default_languages: Arc<[String]>,
    /// The version of the published API that clients see.
    api_version: ApiVersion,
    limits: Limits,
}

/// Languages of a new project, unless a setting says otherwise.
pub const DEFAULT_PROJECT_LANGUAGES: [&str; 2] = ["en", "nl"];

impl Directory {
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

    /// Sets the languages of new projects: codes of the global list, at least one, each once.
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

    /// Where mails go that changes bring about.
    #[must_use]
    pub fn with_outbox(mut self) -> Self {
        self.outbox = Some(Outbox::new(
            self.database.clone(),
            self.clock.clone(),
            Arc::new(PlainContent),
        ));
        self
    }

    /// With other bounds on what users may add.
    #[must_use]
    pub fn with_limits(self, limits: Limits) -> Self {
        Self { limits, ..self }
    }

    /// Who sends them.
    ///
    /// # Errors
    /// When the settings make no sense.
    pub fn mail_worker(&self, config: MailConfig) -> Result<Option<Worker>, doorward_mail::Error> {
        let worker = |outbox| Worker::new(outbox, config, Box::new(|_, _, _| Ok(())));
        self.outbox.clone().map(worker).transpose()
    }

    #[must_use]
    pub fn database(&self) -> &Database {
        &self.database
    }

    /// Makes a change in one transaction, and wakes up who waits for one.
    async fn write<T, F>(&self, work: F) -> Result<T, Error>
    where
        F: FnOnce(&mut AnyConnection) -> Result<T, Error> + Send + 'static,
        T: Send + 'static,
    {
        let done = self.database.write(work).await;
        if done.is_ok() {
            self.feed_changed.send_replace(());
        }
        done
    }
}

/// Serves the directory over gRPC until `shutdown`. The feed is kept for so long.
///
/// # Errors
/// When a listener fails.
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
    let news = directory.feed_changed.clone();
    listen(
        directory.database.url(),
        feed::new_change::NOTIFY_CHANNEL,
        move || news.send_replace(()),
        shutdown.clone(),
    );
    let database = directory.database.clone();
    let gate = ClientAuthenticator::start(database.clone(), token, &shutdown);
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
    let routes = Routes::new(AuthenticatedService::new(service, gate));
    server::serve(
        "doorward.directory.v1.Directory",
        routes,
        listeners,
        is_ready,
        shutdown,
    )
    .await
}
