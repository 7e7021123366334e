//! Connections that become WebSockets.

use std::{
    convert::Infallible,
    fmt::Write,
    future::{Ready, ready},
    sync::{Arc, PoisonError},
    time::{Duration, Instant},
};

use bytes::Bytes;
use http::{
    HeaderMap, HeaderValue, Request, Response, StatusCode,
    header::{CONNECTION, SEC_WEBSOCKET_KEY},
    request::Parts,
};
use http_body_util::Full;
use hyper::{
    body::Incoming,
    server::conn::http1,
    service::{Service, service_fn},
};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};

use crate::{
    polling::{SessionId, status_response},
    sockets::Sockets,
    upgraded_stream::UpgradedStream,
};

/// What hyper needs at least; it is given back when the connection has become a WebSocket.
const HEAD_BUFFER_BYTES: usize = 8192;
/// Sessions that begin with polling, in a second. Each takes some memory until it has said who it is, or has not in time.
const MAX_SESSIONS_PER_SECOND: u32 = 1000;

/// What is asked for other paths: it isn't, by the gateway.
#[derive(Clone)]
pub(crate) struct NotFoundService;

impl<B> Service<Request<B>> for NotFoundService {
    type Response = Response<Full<Bytes>>;
    type Error = Infallible;
    type Future = Ready<Result<Self::Response, Infallible>>;

    fn call(&self, _: Request<B>) -> Self::Future {
        ready(Ok(status_response(StatusCode::NOT_FOUND).map(Full::new)))
    }
}

/// The same with a head of its own: it is kept as long as the socket, and would keep the buffer that it was read into. Of
/// its headers only the key is asked for.
fn strip_request(mut request: Request<Incoming>) -> Request<Incoming> {
    let key = request
        .headers()
        .get(SEC_WEBSOCKET_KEY)
        .and_then(|key| HeaderValue::from_bytes(key.as_bytes()).ok());
    let mut headers = HeaderMap::with_capacity(1);
    headers.extend(key.map(|key| (SEC_WEBSOCKET_KEY, key)));
    *request.headers_mut() = headers;
    if let Ok(uri) = request.uri().to_string().parse() {
        *request.uri_mut() = uri;
    }
    request
}

impl Sockets {
    /// A request to become a WebSocket: its head, and what has come behind it. Returns when the connection has become one,
    /// or is of no more use.
    pub async fn upgrade<IO>(self: Arc<Self>, io: IO, head: &Parts, rest: &[u8])
    where
        IO: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let Ok(place) = self.connection_permits.clone().try_acquire_owned() else {
            tracing::warn!("too many sockets: another is not taken");
            return;
        };
        // One that began with polling keeps what its session has.
        let client = match SessionId::parse(&head.uri) {
            SessionId::Some(sid) => self.clients.find(sid),
            SessionId::None | SessionId::Malformed => None,
        };
        let hang_up = client
            .and_then(|client| client.close_handle.clone())
            .unwrap_or_default();
        let Ok(line) = UpgradedStream::new(
            io,
            (serialize_head(head).as_bytes(), rest),
            hang_up.clone(),
            place,
        ) else {
            return;
        };
        let service = self.service.clone();
        let service = service_fn(move |request| {
            let mut request = strip_request(request);
            request.extensions_mut().insert(hang_up.clone());
            let answer = service.call(request);
            async move {
                let mut response = answer.await?;
                // Only what becomes a WebSocket goes on; its head says nothing else, or clients would refuse it.
                if response.status() != StatusCode::SWITCHING_PROTOCOLS {
                    response
                        .headers_mut()
                        .insert(CONNECTION, HeaderValue::from_static("close"));
                }
                Ok::<_, Infallible>(response)
            }
        });
        let connection = http1::Builder::new()
            .max_buf_size(HEAD_BUFFER_BYTES)
            .serve_connection(TokioIo::new(line), service);
        if let Err(error) = connection.with_upgrades().await {
            tracing::debug!(%error, "a connection has not become a WebSocket");
        }
    }

    pub(crate) fn accepts_session(&self) -> bool {
        let mut window = self
            .session_rate
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if window.0.elapsed() >= Duration::from_secs(1) {
            *window = (Instant::now(), 0);
        }
        window.1 += 1;
        window.1 <= MAX_SESSIONS_PER_SECOND
    }
}

/// What matters of the head: the rest would be kept as long as the socket.
fn serialize_head(head: &Parts) -> String {
    let path = head.uri.path_and_query().map_or("/", |path| path.as_str());
    let mut written =
        format!("GET {path} HTTP/1.1\r\nconnection: Upgrade\r\nupgrade: websocket\r\n");
    for name in ["sec-websocket-key", "sec-websocket-version"] {
        if let Some(value) = head.headers.get(name).and_then(|value| value.to_str().ok()) {
            // Into a string: it can't fail.
            let _ = write!(written, "{name}: {value}\r\n");
        }
    }
    written + "\r\n"
}
