//! The HTTP server: actix-web's, as its `HttpServer` would set it up, but that a connection which is to become a WebSocket is
//! handed over whole. `HttpServer` has no place for that.

use std::{fmt, net::TcpListener, rc::Rc, sync::Arc, time::Duration};

use actix_codec::Framed;
use actix_http::{
    ConnectionType, HttpService, Request, Response,
    body::{MessageBody, to_bytes},
    h1,
};
use actix_server::Server;
use actix_service::{
    IntoServiceFactory, Service, ServiceFactory, ServiceFactoryExt, fn_factory, fn_service, map_config,
};
use actix_web::{Error, body::BoxBody, dev::AppConfig, http::Method, rt::net::TcpStream};
use doorward_sync::Sockets;
use tokio::io::AsyncWriteExt;

use crate::sync_io;

/// For a request's head to arrive.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
const KEEP_ALIVE: Duration = Duration::from_secs(75);
const DISCONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// For requests in flight at a shutdown.
const SHUTDOWN_SECONDS: u64 = 20;
/// Per worker. One that has become a WebSocket counts no more.
const MAX_CONNECTIONS: usize = 8192;

type Connection = Framed<TcpStream, h1::Codec>;

pub(crate) fn run<F, I, S, B>(listener: TcpListener, app: F, sockets: Arc<Sockets>) -> std::io::Result<Server>
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
        let (app, sockets) = (app.clone(), sockets.clone());
        let answers = map_config(app().into_factory(), |()| AppConfig::default());
        HttpService::build()
            .graceful_shutdown_signal(move || {
                let stopping = stopping.clone();
                async move { stopping.notified().await }
            })
            .keep_alive(KEEP_ALIVE)
            .client_request_timeout(HEAD_TIMEOUT)
            .client_disconnect_timeout(DISCONNECT_TIMEOUT)
            .tcp_nodelay(true)
            .local_addr(address)
            .upgrade(fn_factory(move || {
                let app = map_config(app().into_factory(), |()| AppConfig::default());
                let (app, sockets) = (app.new_service(()), sockets.clone());
                async move {
                    let app = Rc::new(app.await?);
                    let upgrade =
                        move |(request, connection)| upgrade(app.clone(), sockets.clone(), request, connection);
                    Ok::<_, S::InitError>(fn_service(upgrade))
                }
            }))
            .finish(answers.map_err(|error: S::Error| error.into().error_response()))
            .tcp()
    })?;
    Ok(builder.run())
}

/// A request after which the connection would be no HTTP any more. Sockets have one address; elsewhere it is answered as any
/// other request is.
async fn upgrade<S, B>(
    app: Rc<S>,
    sockets: Arc<Sockets>,
    request: Request,
    connection: Connection,
) -> Result<(), actix_http::Error>
where
    S: Service<Request>,
    S::Error: Into<Error>,
    S::Response: Into<Response<B>>,
    B: MessageBody + 'static,
{
    if request.method() == Method::GET && sync_io::is_socket(request.uri()) {
        become_socket(&sockets, &request, connection).await;
        return Ok(());
    }
    let response: Response<BoxBody> = match app.call(request).await {
        Ok(response) => response.into().map_into_boxed_body(),
        Err(error) => error.into().error_response().into(),
    };
    let (mut response, body) = response.into_parts();
    response.head_mut().set_connection_type(ConnectionType::Close);
    let body = to_bytes(body).await.unwrap_or_default();
    h1::SendResponse::new(connection, response.set_body(body)).await.map(drop)
}

async fn become_socket(sockets: &Arc<Sockets>, request: &Request, connection: Connection) {
    let mut parts = connection.into_parts();
    // Answers to what came before over this connection.
    let sent = tokio::time::timeout(DISCONNECT_TIMEOUT, parts.io.write_all(&parts.write_buf)).await;
    let is_sent = matches!(sent, Ok(Ok(())));
    if let Some(head) = sync_io::head(request).filter(|_| is_sent) {
        sockets.clone().upgrade(parts.io, &head, &parts.read_buf).await;
    }
}
