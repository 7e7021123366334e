//! The start of the service: background tasks, and the gRPC server with its authentication.

use std::time::Duration;

use doorward_rpc::{
    ServiceToken,
    directory::v1::directory_server::DirectoryServer,
    server::{self, Listeners},
};
use doorward_service_tokens::{AuthenticatedService, ClientAuthenticator};
use doorward_storage::listen;
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;

use crate::{
    Directory,
    feed::{api_version, new_change::NOTIFY_CHANNEL, retention},
    service::Service,
};

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
    tokio::spawn(retention::run(
        directory.clone(),
        feed_retention,
        shutdown.clone(),
    ));
    tokio::spawn(api_version::announce(directory.clone(), shutdown.clone()));
    // Changes of other processes with the same database wake up the streams of this one.
    let feed_changed = directory.feed_changed.clone();
    listen(
        directory.database.url(),
        NOTIFY_CHANNEL,
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
    let service = DirectoryServer::new(Service {
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
