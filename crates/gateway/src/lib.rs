//! The gateway: JSON in, calls to the peers, JSON out. It keeps no state but what auth streams to it, and has no rules and
//! no SQL.

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

#[derive(Debug, Clone)]
pub struct Config {
    /// Expected in tokens.
    pub issuer: String,
    /// In `WWW-Authenticate`.
    pub realm: String,
    pub trusted_proxies: Vec<IpNet>,
    /// `*`, or origins such as `https://app.example.org`.
    pub cors_origins: Vec<String>,
    /// A token older than this is renewed by any call.
    pub renew_after: Duration,
    /// The version of the published API that `cc.version` reports.
    pub api_version: ApiVersion,
    /// How old the knowledge may be that a user is active; then calls with a token are answered 503.
    pub trust_max_age: Duration,
    /// Calls that change data, per user.
    pub write_budget: WriteBudget,
    /// Besides the API.
    pub pages: &'static [Page],
}

/// What every request may use.
pub struct Gateway {
    pub(crate) config: Config,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) ids: Arc<dyn IdGenerator>,
    pub(crate) trust: Arc<session::trust_store::Trust>,
    pub(crate) init_cache: handlers::init_cache::InitCache,
    pub(crate) renewals: session::renewals::Renewals,
    pub(crate) rate_limits: http::rate_limit::RateLimits,
    pub(crate) write_budgets: http::write_budget::WriteBudgets,
    pub(crate) languages: handlers::languages::Languages,
    pub(crate) documents: openapi::Documents,
    /// Whether the log tells of a proxy that is not trusted: once is enough.
    pub(crate) has_warned_about_proxy: AtomicBool,
    /// The value of `WWW-Authenticate`.
    pub(crate) challenge: HeaderValue,
    /// Where pictures are kept.
    pub(crate) object_store: Store,
    pub(crate) decoder: DecoderPool,
    pub(crate) upload_memory: http::upload::UploadMemory,
    /// Told when pictures were discarded.
    pub(crate) media_discarded: Notify,
}

impl Gateway {
    /// # Errors
    /// When the realm can't stand in a header.
    pub fn new(
        config: Config,
        store: Store,
        clock: Arc<dyn Clock>,
        ids: Arc<dyn IdGenerator>,
    ) -> std::io::Result<Self> {
        let challenge = HeaderValue::from_str(&format!("Bearer realm=\"{}\"", config.realm))
            .map_err(std::io::Error::other)?;
        let trust = Arc::new(session::trust_store::Trust::new(
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

    /// Whether a token that was issued some time ago is to be renewed. One that doesn't live long enough to get as old as the
    /// setting says is renewed after a tenth of its life.
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

    /// Whether the keys and revocations are known, and known to be current.
    pub fn check_trust(&self) -> Result<(), String> {
        if self.trust.is_fresh() {
            Ok(())
        } else {
            Err("auth is not heard of".to_owned())
        }
    }
}

/// Serves HTTP until `shutdown`, then lets requests in flight finish.
///
/// # Errors
/// When the listener fails or the peers' settings make no sense.
pub async fn serve(
    listener: TcpListener,
    gateway: Arc<Gateway>,
    peers: PeerSettings,
    shutdown: CancellationToken,
) -> std::io::Result<()> {
    http::denials::register();
    let own = Peers::connect(&peers).map_err(std::io::Error::other)?;
    let clock = gateway.clock.clone();
    tokio::spawn(gateway.trust.clone().run(
        own.auth.clone(),
        move || clock.now(),
        shutdown.clone(),
    ));
    tokio::spawn(media_cleanup::run(
        gateway.clone(),
        own.directory.clone(),
        shutdown.clone(),
    ));
    let sockets = handlers::sockets::start(gateway.clone(), own, &shutdown);
    let in_server = gateway.clone();
    let (gateway, in_app) = (Data::from(gateway), Data::from(sockets.clone()));
    let app = move || {
        let cors = Condition::new(
            !gateway.config.cors_origins.is_empty(),
            http::cors::policy(&gateway.config.cors_origins),
        );
        let pages =
            |config: &mut ServiceConfig| http::static_pages::routes(config, gateway.config.pages);
        let app = App::new()
            .app_data(gateway.clone())
            .app_data(in_app.clone())
            .configure(app::routes)
            .configure(pages);
        let app = app
            .wrap(cors)
            .wrap(from_fn(http::middleware::handle_request));
        match Peers::connect(&peers) {
            Ok(peers) => app.app_data(Data::new(peers)),
            Err(error) => {
                tracing::error!(%error, "can't set up the connections to the peers");
                app
            }
        }
    };
    let server = http::server::run(listener, app, sockets, in_server)?;
    let handle = server.handle();
    tokio::spawn(async move {
        shutdown.cancelled().await;
        handle.stop(true).await;
    });
    server.await
}
