//! The HTTP server: actix-web's, as its `HttpServer` would set it up, except for two things for which that has no place. Heads
//! of requests are checked first ([`Connection`]), and a connection that becomes a WebSocket is handed over whole.

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

use crate::{
    Gateway,
    handlers::sockets,
    http::{client_address, connection::Connection},
};

/// For a request's head to arrive.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
const KEEP_ALIVE: Duration = Duration::from_secs(75);
const DISCONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// For requests in flight at a shutdown.
const SHUTDOWN_SECONDS: u64 = 20;
/// Per worker. One that has become a WebSocket counts no more.
const MAX_CONNECTIONS: usize = 8192;

type UpgradedConnection = Framed<Connection<TcpStream>, h1::Codec>;

pub(crate) fn run<F, I, S, B>(
    listener: TcpListener,
    app: F,
    sockets: Arc<Sockets>,
    gateway: Arc<Gateway>,
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
        let (app, sockets, gateway) = (app.clone(), sockets.clone(), gateway.clone());
        let answers = map_config(app().into_factory(), |()| AppConfig::default());
        let http = HttpService::build()
            .graceful_shutdown_signal(move || {
                let stopping = stopping.clone();
                async move { stopping.notified().await }
            })
            .keep_alive(KEEP_ALIVE)
            .client_request_timeout(HEAD_TIMEOUT)
            .client_disconnect_timeout(DISCONNECT_TIMEOUT)
            .local_addr(address)
            .upgrade(fn_factory(move || {
                let app = map_config(app().into_factory(), |()| AppConfig::default());
                let (app, sockets, gateway) =
                    (app.new_service(()), sockets.clone(), gateway.clone());
                async move {
                    let takeover = Rc::new(UpgradeContext {
                        app: app.await?,
                        sockets,
                        gateway,
                    });
                    let upgrade = move |(request, connection)| {
                        handle_upgrade(takeover.clone(), request, connection)
                    };
                    Ok::<_, S::InitError>(fn_service(upgrade))
                }
            }))
            .finish(answers.map_err(|error: S::Error| error.into().error_response()));
        fn_service(|stream: TcpStream| async move {
            // It fails on a connection that the client has closed.
            let _ = stream.set_nodelay(true);
            let client = stream.peer_addr().ok();
            Ok((Connection::new(stream), Protocol::Http1, client))
        })
        .and_then(http)
    })?;
    Ok(builder.run())
}

/// What is needed to answer a request after which the connection is no HTTP any more.
struct UpgradeContext<S> {
    app: S,
    sockets: Arc<Sockets>,
    gateway: Arc<Gateway>,
}

/// Handles a request after which the connection is no HTTP any more: a handshake of a WebSocket for sockets. One with a wrong
/// session is answered as any request is, and so is `CONNECT`, which is refused like any method that a path does not have.
async fn handle_upgrade<S, B>(
    takeover: Rc<UpgradeContext<S>>,
    request: Request,
    connection: UpgradedConnection,
) -> Result<(), actix_http::Error>
where
    S: Service<Request>,
    S::Error: Into<Error>,
    S::Response: Into<Response<B>>,
    B: MessageBody + 'static,
{
    if request.method() == Method::GET && sockets::is_socket_path(request.uri()) {
        let head = request.head();
        let client =
            client_address::from_head(request.peer_addr(), &head.headers, &takeover.gateway);
        if let Some(parts) = sockets::to_http_parts(&request)
            && takeover.sockets.accept_handshake(&parts.uri, client)
        {
            accept_socket(&takeover.sockets, &parts, connection).await;
            return Ok(());
        }
    }
    let response: Response<BoxBody> = match takeover.app.call(request).await {
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

async fn accept_socket(sockets: &Arc<Sockets>, head: &Parts, connection: UpgradedConnection) {
    let mut parts = connection.into_parts();
    // Answers to what came before over this connection.
    let (mut stream, unread) = parts.io.into_parts();
    parts.read_buf.extend_from_slice(&unread);
    let sent = tokio::time::timeout(DISCONNECT_TIMEOUT, stream.write_all(&parts.write_buf)).await;
    if matches!(sent, Ok(Ok(()))) {
        sockets.clone().upgrade(stream, head, &parts.read_buf).await;
    }
}
