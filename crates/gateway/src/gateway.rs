//! The values that requests share. The server holds them all as one [`Gateway`]; handlers,
//! extractors and middleware ask for the ones that they use, as `web::Data<T>`.

use std::sync::Arc;

use actix_web::web::{Data, ServiceConfig};
use doorward_domain::{ApiVersion, Clock, IdGenerator};
use doorward_media::Store;
use doorward_sync::Sockets;

use crate::{
    config::Config,
    handlers::{init_cache::InitCache, languages::Languages},
    http::{
        client_address::TrustedProxies, middleware::RequestSettings, rate_limit::RateLimits,
        static_pages::Page, write_budget::WriteBudgets,
    },
    media::Media,
    openapi::Documents,
    peers::Peers,
    session::{sessions::Sessions, trust_store::TrustStore},
};

/// State that all requests share.
pub struct Gateway {
    pub(crate) sessions: Data<Sessions>,
    pub(crate) media: Data<Media>,
    pub(crate) trusted_proxies: Data<TrustedProxies>,
    request_settings: Data<RequestSettings>,
    rate_limits: Data<RateLimits>,
    write_budgets: Data<WriteBudgets>,
    init_cache: Data<InitCache>,
    languages: Data<Languages>,
    api_version: Data<ApiVersion>,
    documents: Data<Documents>,
    /// Origins for CORS. Empty: CORS is off.
    pub(crate) cors_origins: Vec<String>,
    pub(crate) pages: &'static [Page],
}

impl Gateway {
    /// Creates a gateway that has no trust data yet: until [`serve`](crate::serve::serve) receives
    /// it from auth, calls with a token are answered with 503.
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
        let request_settings =
            RequestSettings::new(&config.realm, ids).map_err(std::io::Error::other)?;
        let languages = Languages::load().map_err(std::io::Error::other)?;
        let documents = Documents::load().map_err(std::io::Error::other)?;
        let trust = TrustStore::new(&config.issuer, config.trust_max_age);
        Ok(Self {
            sessions: Data::new(Sessions::new(trust, clock, config.renew_after)),
            media: Data::new(Media::new(store)),
            trusted_proxies: Data::new(TrustedProxies::new(config.trusted_proxies)),
            request_settings: Data::new(request_settings),
            rate_limits: Data::new(RateLimits::new()),
            write_budgets: Data::new(WriteBudgets::new(config.write_budget)),
            init_cache: Data::new(InitCache::new()),
            languages: Data::new(languages),
            api_version: Data::new(config.api_version),
            documents: Data::new(documents),
            cors_origins: config.cors_origins,
            pages: config.pages,
        })
    }

    /// Checks that the trust data was received and is not older than `trust_max_age`.
    ///
    /// # Errors
    /// A text for the readiness check.
    pub fn check_trust(&self) -> Result<(), String> {
        if self.sessions.is_trust_fresh() {
            Ok(())
        } else {
            Err("no recent trust data from auth".to_owned())
        }
    }

    /// Registers every value that handlers, extractors and middleware ask for. A value that is
    /// asked for and not registered would be a 500 at run time, so nothing is registered elsewhere.
    ///
    /// `peers` is `None` if the connections could not be set up.
    pub(crate) fn register(
        &self,
        app: &mut ServiceConfig,
        sockets: Data<Sockets>,
        peers: Option<Data<Peers>>,
    ) {
        // Without `..`, so that a new field cannot be forgotten here.
        let Self {
            sessions,
            media,
            trusted_proxies,
            request_settings,
            rate_limits,
            write_budgets,
            init_cache,
            languages,
            api_version,
            documents,
            cors_origins: _,
            pages: _,
        } = self;
        app.app_data(sessions.clone())
            .app_data(media.clone())
            .app_data(trusted_proxies.clone())
            .app_data(request_settings.clone())
            .app_data(rate_limits.clone())
            .app_data(write_budgets.clone())
            .app_data(init_cache.clone())
            .app_data(languages.clone())
            .app_data(api_version.clone())
            .app_data(documents.clone())
            .app_data(sockets);
        if let Some(peers) = peers {
            app.app_data(peers);
        }
    }
}

#[cfg(test)]
#[path = "gateway_tests.rs"]
mod tests;
