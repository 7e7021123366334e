//! Auth: the secrets. Password hashes, signing keys, tokens and what ends them. It knows a user by gid alone; who that is,
//! the directory knows.

mod config;
mod credentials;
mod error;
mod follow;
mod hashing;
pub mod keys;
mod password;
mod revocation;
mod sealing;
mod service;
mod store;
mod tokens;
mod trust;

use std::sync::Arc;

use diesel_migrations::{EmbeddedMigrations, embed_migrations};
use doorward_domain::{Clock, Ids};
use doorward_proto::{
    Channel, ServiceToken,
    auth::v1::auth_server::AuthServer,
    server::{self, Listeners},
};
use doorward_storage::{Database, Migrations};
use tokio_util::sync::CancellationToken;
use tonic::service::{Routes, interceptor::InterceptedService};

pub use config::{Config, HashingConfig};
pub use credentials::{Credentials, Verified};
pub use error::Error;
pub use hashing::{Hasher, StoredHash, is_affordable};
pub use keys::Keys;
pub use password::Password;
pub use sealing::{SealError, Sealer};

const POSTGRES: EmbeddedMigrations = embed_migrations!("migrations/postgres");
const SQLITE: EmbeddedMigrations = embed_migrations!("migrations/sqlite");
pub const MIGRATIONS: Migrations = Migrations { postgres: POSTGRES, sqlite: SQLITE, own_table: "trust_head" };

/// What the service stands on.
pub struct Deps {
    pub database: Database,
    pub clock: Arc<dyn Clock>,
    pub ids: Arc<dyn Ids>,
    pub sealer: Arc<Sealer>,
    /// The directory, whose change feed is followed.
    pub directory: Channel,
}

/// The service, ready to serve.
pub struct Auth {
    database: Database,
    service: service::Service,
    follower: follow::Follower,
    trust: Arc<trust::Trust>,
    shutdown: CancellationToken,
}

impl Auth {
    /// Makes the signing keys when there are none, and tries them.
    ///
    /// # Errors
    /// When the database can't be reached, or the master key is not the one that sealed the signing keys.
    pub async fn start(deps: Deps, config: Config, shutdown: CancellationToken) -> Result<Self, Error> {
        let Deps { database, clock, ids, sealer, directory } = deps;
        let config = Arc::new(config);
        Keys::new(database.clone(), clock.clone(), sealer.clone(), config.lifetime).ensure().await?;
        let lifetime = config.lifetime;
        database
            .write(move |connection| Ok::<_, Error>(store::trust_head::note_lifetime(connection, lifetime)?))
            .await?;
        let trust = Arc::new(trust::Trust::new(database.clone(), clock.clone(), sealer));
        trust.refresh().await?;
        let credentials = Credentials::new(database.clone(), clock.clone(), config.clone())?;
        let follower =
            follow::Follower { database: database.clone(), directory, trust: trust.clone(), lifetime: config.lifetime };
        let tokens = tokens::Tokens::new(database.clone(), clock.clone(), ids, config, trust.clone());
        tokens.self_test()?;
        let service = service::Service { credentials, tokens, trust: trust.clone(), clock, shutdown: shutdown.clone() };
        Ok(Self { database, service, follower, trust, shutdown })
    }

    #[must_use]
    pub fn hasher(&self) -> &Hasher {
        self.service.credentials.hasher()
    }

    /// Serves over gRPC until the shutdown.
    ///
    /// # Errors
    /// When a listener fails.
    pub async fn serve(self, listeners: Listeners, token: ServiceToken) -> Result<(), tonic::transport::Error> {
        let Self { database, service, follower, trust, shutdown } = self;
        tokio::spawn(follower.run(shutdown.clone()));
        tokio::spawn({
            let shutdown = shutdown.clone();
            async move { trust.follow(shutdown).await }
        });
        let is_ready = server::readiness(
            move || {
                let database = database.clone();
                async move { database.ping().await.is_ok() }
            },
            &shutdown,
        );
        let routes = Routes::new(InterceptedService::new(AuthServer::new(service), token));
        server::serve("doorward.auth.v1.Auth", routes, listeners, is_ready, shutdown).await
    }
}
