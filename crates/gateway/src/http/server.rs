//! The HTTP server, assembled from the parts of actix-web as its `HttpServer` would do it, except
//! for two things that `HttpServer` does not support: heads of requests are checked first
//! ([`Connection`]), and a connection that becomes a WebSocket leaves the server. It knows no call
//! of the API.

use std::{fmt, net::TcpListener, rc::Rc, sync::Arc, time::Duration};

use actix_codec::Framed;
use actix_http::{
    ConnectionType, HttpService, Protocol, Request, Response,
    body::{MessageBody, to_bytes},
    h1,
};
use actix_server::Server;
use actix_service::{
    IntoServiceFactory, Service, ServiceFactory, ServiceFactoryExt, fn_factory, fn_service,
    map_config,
};
use actix_web::{Error, body::BoxBody, dev::AppConfig, http::Method, rt::net::TcpStream};
use doorward_sync::Sockets;
use http::request::Parts;
use tokio::io::AsyncWriteExt;

use crate::http::{client_address::TrustedProxies, connection::Connection, websocket};

/// Maximum time in which the head of a request must arrive.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// Time after which an idle connection is closed.
const KEEP_ALIVE: Duration = Duration::from_secs(75);
/// Maximum time for the last bytes of a connection.
const DISCONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Maximum time for requests in flight at a shutdown.
const SHUTDOWN_SECONDS: u64 = 20;
/// Maximum number of connections per worker. A connection that has become a WebSocket is not
/// counted.
const MAX_CONNECTIONS: usize = 8192;

type UpgradedConnection = Framed<Connection<TcpStream>, h1::Codec>;

/// Starts the server on a listener.
///
/// # Errors
/// The listener has no address, or cannot be registered.
pub(crate) fn run<F, I, S, B>(
    listener: TcpListener,
    app: F,
    sockets: Arc<Sockets>,
    trusted_proxies: Arc<TrustedProxies>,
) -> std::io::Result<Server>
where
    F: Fn() -> I + Clone + Send + 'static,
    I: IntoServiceFactory<S, Request>,
    S: ServiceFactory<Request, Config = AppConfig> + 'static,
    S::Error: Into<Error> + 'static,
    S::InitError: fmt::Debug,
    S::Response: Into<Response<B>> + 'static,
    S::Service: 'static,
    <S::Service as Service<Request>>::Future: 'static,
    B: MessageBody + 'static,
{
    let address = listener.local_addr()?;
    let builder = Server::build()
        .max_concurrent_connections(MAX_CONNECTIONS)
        .shutdown_timeout(SHUTDOWN_SECONDS)
        .disable_signals();
    let stopping = builder.graceful_shutdown_signal();
    let builder = builder.listen(format!("http-{address}"), listener, move || {
        let stopping = stopping.clone();
        let app = app.clone();
        let sockets = sockets.clone();
        let trusted_proxies = trusted_proxies.clone();
        let app_service = map_config(app().into_factory(), |()| AppConfig::default());
        let http = HttpService::build()
            .graceful_shutdown_signal(move || {
                let stopping = stopping.clone();
                async move { stopping.notified().await }
            })
            .keep_alive(KEEP_ALIVE)
            .client_request_timeout(HEAD_TIMEOUT)
            .client_disconnect_timeout(DISCONNECT_TIMEOUT)
            .local_addr(address)
            // Requests with which a connection leaves HTTP get an instance of the app of their own,
            // because the dispatcher gives up the connection together with the request.
            .upgrade(fn_factory(move || {
                let app = map_config(app().into_factory(), |()| AppConfig::default());
                let app = app.new_service(());
                let sockets = sockets.clone();
                let trusted_proxies = trusted_proxies.clone();
                async move {
                    let upgrade_context = Rc::new(UpgradeContext {
                        app: app.await?,
                        sockets,
                        trusted_proxies,
                    });
                    let upgrade = move |(request, connection)| {
                        handle_upgrade(upgrade_context.clone(), request, connection)
                    };
                    Ok::<_, S::InitError>(fn_service(upgrade))
                }
            }))
            .finish(app_service.map_err(|error: S::Error| error.into().error_response()));
        fn_service(|stream: TcpStream| async move {
            // This fails only if the client has closed the connection, which the next read reports.
            let _ = stream.set_nodelay(true);
            let client = stream.peer_addr().ok();
            Ok((Connection::new(stream), Protocol::Http1, client))
        })
        .and_then(http)
    })?;
    Ok(builder.run())
}

/// State for requests after which the connection is no longer HTTP.
struct UpgradeContext<S> {
    app: S,
    sockets: Arc<Sockets>,
    trusted_proxies: Arc<TrustedProxies>,
}

/// Handles a request after which the connection is no longer HTTP: a WebSocket handshake for
/// sockets. A handshake that is not accepted, for example with an unknown session, is answered by
/// the app, and then the connection is closed. So is `CONNECT`, which the app rejects like any
/// method that a path does not have.
async fn handle_upgrade<S, B>(
    context: Rc<UpgradeContext<S>>,
    request: Request,
    connection: UpgradedConnection,
) -> Result<(), actix_http::Error>
where
    S: Service<Request>,
    S::Error: Into<Error>,
    S::Response: Into<Response<B>>,
    B: MessageBody + 'static,
{
    if request.method() == Method::GET && websocket::is_socket_path(request.uri()) {
        let client = context
            .trusted_proxies
            .find_client_of_head(request.peer_addr(), &request.head().headers);
        if let Some(parts) = websocket::to_http_parts(&request)
            && context.sockets.accept_handshake(&parts.uri, client)
        {
            accept_socket(&context.sockets, &parts, connection).await;
            return Ok(());
        }
    }
    let response: Response<BoxBody> = match context.app.call(request).await {
        Ok(response) => response.into().map_into_boxed_body(),
        Err(error) => error.into().error_response().into(),
    };
    let (mut response, body) = response.into_parts();
    response
        .head_mut()
        .set_connection_type(ConnectionType::Close);
    let body = to_bytes(body).await.unwrap_or_default();
    h1::SendResponse::new(connection, response.set_body(body))
        .await
        .map(drop)
}

/// Takes the stream out of the server and gives it to the sockets, with all bytes that were already
/// read from it.
async fn accept_socket(sockets: &Arc<Sockets>, head: &Parts, connection: UpgradedConnection) {
    let mut parts = connection.into_parts();
    let (mut stream, unread) = parts.io.into_parts();
    parts.read_buf.extend_from_slice(&unread);
    // Responses to earlier requests of this connection can still be in the write buffer.
    let sent = tokio::time::timeout(DISCONNECT_TIMEOUT, stream.write_all(&parts.write_buf)).await;
    if matches!(sent, Ok(Ok(()))) {
        sockets.clone().upgrade(stream, head, &parts.read_buf).await;
    }
}
