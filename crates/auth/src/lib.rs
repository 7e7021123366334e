//! Auth: the secrets. Password hashes, signing keys, tokens and what ends them. It knows a user by gid alone; who that is,
//! the directory knows.

mod accounts;
mod api_keys;
pub mod audit;
mod config;
mod error;
mod feed;
mod login;
mod maintenance;
mod passwords;
mod reseal;
mod sealing;
mod secrets;
mod service;
pub mod service_tokens;
mod store;
mod throttle;
pub mod tokens;
pub mod transfer;

use std::sync::Arc;

use diesel_migrations::{EmbeddedMigrations, embed_migrations};
use doorward_domain::{Clock, IdGenerator};
use doorward_mail::{MailConfig, Outbox, Worker};
use doorward_rpc::{
    Channel, ServiceToken,
    auth::v1::auth_server::AuthServer,
    server::{self, Listeners},
};
use doorward_service_tokens::{AuthenticatedService, ClientAuthenticator};
use doorward_storage::{AnyConnection, Database, Migrations};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;

pub use crate::passwords::credentials::Credentials;
pub use crate::passwords::hashing::{Hasher, StoredHash, is_within_cost_limit};
pub use crate::passwords::password::Password;
pub use api_keys::{ApiKey, ApiKeys};
pub use config::{Config, HashingConfig, ThrottleConfig};
pub use error::Error;
pub use reseal::has_sealed_data;
pub use sealing::{SealError, Sealer};
pub use tokens::signing_keys::{KeyState, Keys, SigningKey};

const POSTGRES: EmbeddedMigrations = embed_migrations!("migrations/postgres");
const SQLITE: EmbeddedMigrations = embed_migrations!("migrations/sqlite");
pub const MIGRATIONS: Migrations = Migrations {
    postgres: POSTGRES,
    sqlite: SQLITE,
    owner_table: "credentials",
    data_migrations: &[],
};

/// What the service stands on.
pub struct Dependencies {
    pub database: Database,
    pub clock: Arc<dyn Clock>,
    pub ids: Arc<dyn IdGenerator>,
    pub sealer: Arc<Sealer>,
    /// The directory, whose change feed is followed.
    pub directory: Channel,
}

/// The service, ready to serve.
pub struct Auth {
    database: Database,
    service: service::Service,
    follower: feed::follow::Follower,
    feed_age_monitor: feed::age::FeedAgeMonitor,
    maintenance: maintenance::Maintenance,
    mailer: Option<Worker>,
    trust: Arc<tokens::trust_store::TrustStore>,
    shutdown: CancellationToken,
}

impl Auth {
    /// Makes the signing keys when there are none, and tries them.
    ///
    /// # Errors
    /// When the database can't be reached, or the master key is not the one that sealed the signing keys.
    pub async fn start(
        deps: Dependencies,
        config: Config,
        shutdown: CancellationToken,
    ) -> Result<Self, Error> {
        let Dependencies {
            database,
            clock,
            ids,
            sealer,
            directory,
        } = deps;
        let config = Arc::new(config);
        let lifetime = config.token_lifetime;
        Keys::new(database.clone(), clock.clone(), sealer.clone(), lifetime)
            .create_missing()
            .await?;
        let note = move |connection: &mut AnyConnection| {
            store::trust_version::record_lifetime(connection, lifetime)
        };
        database.write(note).await?;
        let trust = Arc::new(tokens::trust_store::TrustStore::new(
            database.clone(),
            clock.clone(),
            sealer.clone(),
            config.trust_max_age,
        ));
        trust.refresh().await?;
        let tokens = Arc::new(tokens::issue::Tokens::new(
            clock.clone(),
            ids.clone(),
            config.clone(),
            trust.clone(),
        ));
        tokens.check_signing()?;
        let codes = accounts::codes::Codes::start(&database, sealer.clone()).await?;
        let (outbox, mailer) = start_outbox(&database, &clock, &sealer, config.mail.clone())?;
        let api_keys = ApiKeys::start(database.clone(), clock.clone(), sealer, lifetime).await?;
        let credentials = Credentials::new(database.clone(), clock.clone(), config.clone())?;
        let logins = Arc::new(login::password::Logins {
            database: database.clone(),
            clock: clock.clone(),
            config: config.clone(),
            credentials: credentials.clone(),
            api_keys: api_keys.clone(),
            tokens: tokens.clone(),
            in_flight: Arc::default(),
            waiting_slots: Semaphore::new(login::admission::MAX_WAITING),
        });
        let accounts = accounts::Accounts {
            database: database.clone(),
            clock: clock.clone(),
            ids,
            config: config.clone(),
            credentials,
            codes,
            tokens: tokens.clone(),
            trust: trust.clone(),
            logins: logins.clone(),
            outbox,
        };
        let service = service::Service {
            database: database.clone(),
            config: config.clone(),
            logins,
            api_keys,
            accounts,
            tokens,
            trust: trust.clone(),
            clock: clock.clone(),
            shutdown: shutdown.clone(),
        };
        let (position, followed) = tokio::sync::watch::channel(-1);
        let feed_age = feed::age::FeedAgeMonitor {
            directory: directory.clone(),
            trust: trust.clone(),
            applied_cursor: followed,
        };
        let follower = feed::follow::Follower {
            database: database.clone(),
            directory,
            trust: trust.clone(),
            clock: clock.clone(),
            applied_cursor: position,
            lifetime,
        };
        let upkeep = maintenance::Maintenance {
            database: database.clone(),
            clock,
            config,
        };
        Ok(Self {
            database,
            service,
            follower,
            feed_age_monitor: feed_age,
            maintenance: upkeep,
            mailer,
            trust,
            shutdown,
        })
    }

    #[must_use]
    pub fn hasher(&self) -> &Hasher {
        self.service.logins.credentials.hasher()
    }

    /// A check of whether this process can vouch for tokens.
    ///
    /// # Errors
    /// The check fails when the directory's feed has not been followed to its end for `trust_max_age`.
    pub fn readiness_check(&self) -> impl Fn() -> Result<(), String> + Send + Sync + 'static {
        let trust = self.trust.clone();
        move || {
            if trust.is_fresh() {
                Ok(())
            } else {
                Err("the directory's feed is not followed".to_owned())
            }
        }
    }

    /// Serves over gRPC until the shutdown.
    ///
    /// # Errors
    /// When a listener fails.
    pub async fn serve(
        self,
        listeners: Listeners,
        token: ServiceToken,
    ) -> Result<(), tonic::transport::Error> {
        let Self {
            database,
            service,
            follower,
            feed_age_monitor: feed_age,
            maintenance: upkeep,
            mailer,
            trust,
            shutdown,
        } = self;
        tokio::spawn(follower.run(shutdown.clone()));
        tokio::spawn(feed_age.run(shutdown.clone()));
        tokio::spawn(upkeep.run(shutdown.clone()));
        if let Some(mailer) = mailer {
            tokio::spawn(mailer.run(shutdown.clone()));
        }
        tokio::spawn({
            let (trust, shutdown) = (trust.clone(), shutdown.clone());
            async move { trust.run(shutdown).await }
        });
        let gate = ClientAuthenticator::start(database.clone(), token, &shutdown);
        let is_ready = server::watch_readiness(
            move || {
                let (database, trust) = (database.clone(), trust.clone());
                async move { database.check_writable().await.is_ok() && trust.is_fresh() }
            },
            &shutdown,
        );
        let routes = Routes::new(AuthenticatedService::new(AuthServer::new(service), gate));
        server::serve(
            "doorward.auth.v1.Auth",
            routes,
            listeners,
            is_ready,
            shutdown,
        )
        .await
    }
}

/// Where mails wait, and who sends them: nobody, when that is not configured.
fn start_outbox(
    database: &Database,
    clock: &Arc<dyn Clock>,
    sealer: &Arc<Sealer>,
    config: Option<MailConfig>,
) -> Result<(Option<Outbox>, Option<Worker>), Error> {
    let Some(config) = config else {
        return Ok((None, None));
    };
    let outbox = Outbox::new(database.clone(), clock.clone(), sealer.clone());
    let worker = Worker::new(
        outbox.clone(),
        config,
        Box::new(audit::record_given_up_mail),
    );
    let worker = worker.map_err(|error| {
        tracing::error!(%error, "mails can't be sent");
        Error::Internal("the settings of mail make no sense")
    })?;
    Ok((Some(outbox), Some(worker)))
}
