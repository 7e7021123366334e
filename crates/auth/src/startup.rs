//! The start of the service: creates its parts, connects them, and runs the background tasks.

use std::sync::Arc;

use doorward_domain::{Clock, IdGenerator};
use doorward_mail::{MailConfig, Outbox, Worker};
use doorward_rpc::{
    Channel, ServiceToken,
    auth::v1::auth_server::AuthServer,
    server::{self, Listeners},
};
use doorward_service_tokens::{AuthenticatedService, ClientAuthenticator};
use doorward_storage::{AnyConnection, Database};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;

use crate::{
    accounts::{Accounts, codes::Codes},
    api_keys::ApiKeys,
    audit,
    config::Config,
    error::Error,
    feed::{age::FeedAgeMonitor, follower::Follower},
    login::{admission::MAX_WAITING, logins::Logins},
    maintenance::Maintenance,
    passwords::{credentials::Credentials, hashing::Hasher},
    sealing::Sealer,
    service::Service,
    store,
    tokens::{issue::Tokens, signing_keys::Keys, trust_store::TrustStore},
};

/// Services and resources that auth needs.
pub struct Dependencies {
    pub database: Database,
    pub clock: Arc<dyn Clock>,
    pub ids: Arc<dyn IdGenerator>,
    pub sealer: Arc<Sealer>,
    /// Connection to the directory, whose change feed auth follows.
    pub directory: Channel,
}

/// The started service, before it accepts calls.
pub struct Auth {
    database: Database,
    service: Service,
    follower: Follower,
    feed_age_monitor: FeedAgeMonitor,
    maintenance: Maintenance,
    mailer: Option<Worker>,
    trust: Arc<TrustStore>,
    shutdown: CancellationToken,
}

impl Auth {
    /// Creates the signing keys if they are missing, signs one token as a test, and starts the
    /// parts of the service.
    ///
    /// # Errors
    /// [`Error::Seal`] if the master key is not the one that sealed the signing keys,
    /// [`Error::Internal`] if settings are invalid or signing fails, and database errors.
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
        // Recorded before the first token is issued: revocations are kept for the longest lifetime.
        let record_lifetime = move |connection: &mut AnyConnection| {
            store::trust_version::record_lifetime(connection, lifetime)
        };
        database.write(record_lifetime).await?;
        let trust = Arc::new(TrustStore::new(
            database.clone(),
            clock.clone(),
            sealer.clone(),
            config.trust_max_age,
        ));
        trust.refresh().await?;
        let tokens = Arc::new(Tokens::new(
            clock.clone(),
            ids.clone(),
            config.clone(),
            trust.clone(),
        ));
        tokens.check_signing()?;
        let codes = Codes::start(&database, sealer.clone()).await?;
        let (outbox, mailer) = start_outbox(&database, &clock, &sealer, config.mail.clone())?;
        let api_keys = ApiKeys::start(database.clone(), clock.clone(), sealer, lifetime).await?;
        let credentials = Credentials::new(database.clone(), clock.clone(), config.clone())?;
        let logins = Arc::new(Logins {
            database: database.clone(),
            clock: clock.clone(),
            config: config.clone(),
            credentials: credentials.clone(),
            api_keys: api_keys.clone(),
            tokens: tokens.clone(),
            in_flight: Arc::default(),
            waiting_slots: Semaphore::new(MAX_WAITING),
        });
        let accounts = Accounts {
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
        let service = Service {
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
        // -1: nothing is applied before the follower has read its position.
        let (applied_sender, applied_receiver) = tokio::sync::watch::channel(-1);
        let feed_age_monitor = FeedAgeMonitor {
            directory: directory.clone(),
            trust: trust.clone(),
            applied_cursor: applied_receiver,
        };
        let follower = Follower {
            database: database.clone(),
            directory,
            trust: trust.clone(),
            clock: clock.clone(),
            applied_cursor: applied_sender,
            lifetime,
        };
        let maintenance = Maintenance {
            database: database.clone(),
            clock,
            config,
        };
        Ok(Self {
            database,
            service,
            follower,
            feed_age_monitor,
            maintenance,
            mailer,
            trust,
            shutdown,
        })
    }

    /// Returns the pool of hashing threads.
    #[must_use]
    pub fn hasher(&self) -> &Hasher {
        self.service.logins.credentials.hasher()
    }

    /// Returns a check of whether this process can accept tokens.
    ///
    /// # Errors
    /// The check fails if the database was not read for 3 s, or the directory's feed was not
    /// applied to its end for `trust_max_age`.
    pub fn readiness_check(&self) -> impl Fn() -> Result<(), String> + Send + Sync + 'static {
        let trust = self.trust.clone();
        move || {
            if trust.is_fresh() {
                Ok(())
            } else {
                Err(
                    "revocations may be missing: the directory feed or the database is stale"
                        .to_owned(),
                )
            }
        }
    }

    /// Starts the background tasks, and serves gRPC calls until the shutdown.
    ///
    /// # Errors
    /// Returns an error if a listener fails.
    pub async fn serve(
        self,
        listeners: Listeners,
        token: ServiceToken,
    ) -> Result<(), tonic::transport::Error> {
        let Self {
            database,
            service,
            follower,
            feed_age_monitor,
            maintenance,
            mailer,
            trust,
            shutdown,
        } = self;
        tokio::spawn(follower.run(shutdown.clone()));
        tokio::spawn(feed_age_monitor.run(shutdown.clone()));
        tokio::spawn(maintenance.run(shutdown.clone()));
        if let Some(mailer) = mailer {
            tokio::spawn(mailer.run(shutdown.clone()));
        }
        tokio::spawn({
            let trust = trust.clone();
            let shutdown = shutdown.clone();
            async move { trust.run(shutdown).await }
        });
        let authenticator = ClientAuthenticator::start(database.clone(), token, &shutdown);
        let is_ready = server::watch_readiness(
            move || {
                let database = database.clone();
                let trust = trust.clone();
                async move { database.check_writable().await.is_ok() && trust.is_fresh() }
            },
            &shutdown,
        );
        let routes = Routes::new(AuthenticatedService::new(
            AuthServer::new(service),
            authenticator,
        ));
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

/// Returns the outbox and the worker that sends its mails, or nothing if mail is not configured.
///
/// # Errors
/// [`Error::Internal`] if the mail settings are invalid.
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
        tracing::error!(%error, "failed to set up mail; check smtp_url and mail_from");
        Error::Internal("the mail settings are invalid")
    })?;
    Ok((Some(outbox), Some(worker)))
}
