//! Serves the API: the background tasks, and the app of each HTTP worker.

use std::{net::TcpListener, sync::Arc};

use actix_web::{
    App,
    middleware::{Condition, from_fn},
    web::{Data, ServiceConfig},
};
use tokio_util::sync::CancellationToken;

use crate::{
    app,
    gateway::Gateway,
    handlers::sockets,
    http::{cors, denials, middleware, server, static_pages},
    media_cleanup,
    peers::{PeerSettings, Peers},
};

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
    denials::register();
    // The background tasks share these connections; each HTTP worker makes its own below.
    let background_peers = Peers::connect(&peers).map_err(std::io::Error::other)?;
    let sessions = gateway.sessions.clone().into_inner();
    tokio::spawn(
        sessions
            .clone()
            .receive_trust(background_peers.auth.clone(), shutdown.clone()),
    );
    tokio::spawn(media_cleanup::run(
        gateway.media.clone().into_inner(),
        background_peers.directory.clone(),
        shutdown.clone(),
    ));
    let sockets = sockets::start(sessions, background_peers, &shutdown);
    let trusted_proxies = gateway.trusted_proxies.clone().into_inner();
    let app_sockets = Data::from(sockets.clone());
    let app = move || {
        // A worker cannot report an error from here. Without peers, its calls answer with 500.
        let worker_peers = Peers::connect(&peers).inspect_err(|error| {
            tracing::error!(%error, "cannot set up the connections to auth and directory");
        });
        let worker_peers = worker_peers.ok().map(Data::new);
        let pages = |config: &mut ServiceConfig| static_pages::routes(config, gateway.pages);
        let cors = Condition::new(
            !gateway.cors_origins.is_empty(),
            cors::policy(&gateway.cors_origins),
        );
        // Middleware that is added last runs first: `handle_request` also sees the responses of
        // CORS.
        App::new()
            .configure(|config| gateway.register(config, app_sockets.clone(), worker_peers))
            .configure(app::routes)
            .configure(pages)
            .wrap(cors)
            .wrap(from_fn(middleware::handle_request))
    };
    let server = server::run(listener, app, sockets, trusted_proxies)?;
    let handle = server.handle();
    tokio::spawn(async move {
        shutdown.cancelled().await;
        handle.stop(true).await;
    });
    server.await
}
