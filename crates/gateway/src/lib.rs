//! The gateway: it turns HTTP calls with JSON into RPCs to auth and directory, and their responses
//! into JSON. It has no business rules and no SQL.
//!
//! All its state is in memory and can be lost: the trust data that auth streams, caches, and the
//! counts of the rate limits and write budgets.

mod app;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
mod handlers;
mod http;
mod media_cleanup;
mod openapi;
mod peers;
mod session;

use std::{
    net::TcpListener,
    sync::{Arc, atomic::AtomicBool},
    time::Duration,
};

use actix_web::{
    App, FromRequest,
    http::header::HeaderValue,
    middleware::{Condition, from_fn},
    web::{Data, ServiceConfig},
};
use doorward_domain::{ApiVersion, Clock, IdGenerator};
use doorward_media::{DecoderPool, Store};
use doorward_token::Claims;
use ipnet::IpNet;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

pub use crate::http::static_pages::Page;
pub use crate::http::write_budget::WriteBudget;
pub use openapi::openapi_json;
pub use peers::{PeerSettings, Peers};

/// Settings of the gateway.
#[derive(Debug, Clone)]
pub struct Config {
    /// Expected `iss` claim of tokens.
    pub issuer: String,
    /// Realm in `WWW-Authenticate`.
    pub realm: String,
    /// Networks of the proxies whose `X-Forwarded-For` is trusted.
    pub trusted_proxies: Vec<IpNet>,
    /// Allowed origins, such as `https://app.example.org`, or `*`. Empty: CORS is off.
    pub cors_origins: Vec<String>,
    /// Age of a token from which any call with it renews it.
    pub renew_after: Duration,
    /// Version of the published API that `cc.version` reports.
    pub api_version: ApiVersion,
    /// Maximum age of the trust data. While it is older, calls with a token are answered with 503.
    pub trust_max_age: Duration,
    /// Limit on the calls of a user that change data.
    pub write_budget: WriteBudget,
    /// Static pages that are served in addition to the API.
    pub pages: &'static [Page],
}

/// State that all requests share.
pub struct Gateway {
    pub(crate) config: Config,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) ids: Arc<dyn IdGenerator>,
    pub(crate) trust: Arc<session::trust_store::TrustStore>,
    pub(crate) init_cache: handlers::init_cache::InitCache,
    pub(crate) renewals: session::renewals::Renewals,
    pub(crate) rate_limits: http::rate_limit::RateLimits,
    pub(crate) write_budgets: http::write_budget::WriteBudgets,
    pub(crate) languages: handlers::languages::Languages,
    pub(crate) documents: openapi::Documents,
    /// Whether the warning about a proxy that is not trusted has been logged. It is logged once.
    pub(crate) has_warned_about_proxy: AtomicBool,
    /// Value of `WWW-Authenticate`.
    pub(crate) challenge: HeaderValue,
    /// Object store of the pictures.
    pub(crate) object_store: Store,
    pub(crate) decoder: DecoderPool,
    pub(crate) upload_memory: http::upload::UploadMemory,
    /// Wakes the media cleanup after pictures were discarded.
    pub(crate) media_discarded: Notify,
}

impl Gateway {
    /// Creates a gateway that has no trust data yet: until [`serve`] receives it from auth, calls
    /// with a token are answered with 503.
    ///
    /// # Errors
    /// The realm is not a valid header value, or the languages or the OpenAPI document cannot be
    /// serialized.
    pub fn new(
        config: Config,
        store: Store,
        clock: Arc<dyn Clock>,
        ids: Arc<dyn IdGenerator>,
    ) -> std::io::Result<Self> {
        let challenge = HeaderValue::from_str(&format!("Bearer realm=\"{}\"", config.realm))
            .map_err(std::io::Error::other)?;
        let trust = Arc::new(session::trust_store::TrustStore::new(
            &config.issuer,
            config.trust_max_age,
        ));
        let languages = handlers::languages::Languages::load().map_err(std::io::Error::other)?;
        let documents = openapi::Documents::load().map_err(std::io::Error::other)?;
        let writes = http::write_budget::WriteBudgets::new(config.write_budget);
        Ok(Self {
            config,
            clock,
            ids,
            trust,
            init_cache: handlers::init_cache::InitCache::new(),
            renewals: session::renewals::Renewals::new(),
            rate_limits: http::rate_limit::RateLimits::new(),
            write_budgets: writes,
            languages,
            documents,
            has_warned_about_proxy: AtomicBool::new(false),
            challenge,
            object_store: store,
            decoder: DecoderPool::default(),
            upload_memory: http::upload::UploadMemory::default(),
            media_discarded: Notify::new(),
        })
    }

    /// Returns whether renewal of a token is due. A token whose lifetime is not longer than
    /// `renew_after` would never become due; its renewal is due after a tenth of its lifetime
    /// instead.
    pub(crate) fn is_renewal_due(&self, claims: &Claims) -> bool {
        let seconds = |seconds: i64| Duration::from_secs(u64::try_from(seconds).unwrap_or(0));
        let age = seconds(self.clock.now().as_seconds().saturating_sub(claims.iat));
        let lifetime = seconds(claims.exp.saturating_sub(claims.iat));
        let renew_after = self.config.renew_after;
        age >= if renew_after < lifetime {
            renew_after
        } else {
            lifetime / 10
        }
    }

    /// Checks that the trust data was received and is not older than `trust_max_age`.
    ///
    /// # Errors
    /// A text for the readiness check.
    pub fn check_trust(&self) -> Result<(), String> {
        if self.trust.is_fresh() {
            Ok(())
        } else {
            Err("no recent trust data from auth".to_owned())
        }
    }
}

/// Serves HTTP until `shutdown`, then lets requests in flight finish.
///
/// # Errors
/// The listener fails, or the settings of the peers are invalid.
pub async fn serve(
    listener: TcpListener,
    gateway: Arc<Gateway>,
    peers: PeerSettings,
    shutdown: CancellationToken,
) -> std::io::Result<()> {
    http::denials::register();
    // The background tasks share these connections; each HTTP worker makes its own below.
    let background_peers = Peers::connect(&peers).map_err(std::io::Error::other)?;
    let clock = gateway.clock.clone();
    tokio::spawn(gateway.trust.clone().run(
        background_peers.auth.clone(),
        move || clock.now(),
        shutdown.clone(),
    ));
    tokio::spawn(media_cleanup::run(
        gateway.clone(),
        background_peers.directory.clone(),
        shutdown.clone(),
    ));
    let sockets = handlers::sockets::start(gateway.clone(), background_peers, &shutdown);
    let server_gateway = gateway.clone();
    let gateway = Data::from(gateway);
    let app_sockets = Data::from(sockets.clone());
    let app = move || {
        let cors = Condition::new(
            !gateway.config.cors_origins.is_empty(),
            http::cors::policy(&gateway.config.cors_origins),
        );
        let pages =
            |config: &mut ServiceConfig| http::static_pages::routes(config, gateway.config.pages);
        let app = App::new()
            .app_data(gateway.clone())
            .app_data(app_sockets.clone())
            .configure(app::routes)
            .configure(pages);
        // Middleware that is added last runs first: `handle_request` also sees the responses of
        // CORS.
        let app = app
            .wrap(cors)
            .wrap(from_fn(http::middleware::handle_request));
        match Peers::connect(&peers) {
            Ok(peers) => app.app_data(Data::new(peers)),
            Err(error) => {
                // A worker cannot report an error from here. Without peers, its calls answer with
                // 500.
                tracing::error!(%error, "cannot set up the connections to auth and directory");
                app
            }
        }
    };
    let server = http::server::run(listener, app, sockets, server_gateway)?;
    let handle = server.handle();
    tokio::spawn(async move {
        shutdown.cancelled().await;
        handle.stop(true).await;
    });
    server.await
}
