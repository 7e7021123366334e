//! Takes over connections whose request asks for a WebSocket. hyper performs the handshake, because
//! the Socket.IO library needs a connection that hyper has upgraded.

use std::{
    convert::Infallible,
    fmt::Write,
    sync::{Arc, PoisonError},
    time::{Duration, Instant},
};

use http::{
    HeaderMap, HeaderValue, Request, StatusCode,
    header::{CONNECTION, SEC_WEBSOCKET_KEY},
    request::Parts,
};
use hyper::{
    body::Incoming,
    server::conn::http1,
    service::{Service, service_fn},
};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};

use crate::{
    limits::MAX_SOCKETS, polling::SessionId, sockets::Sockets, upgraded_stream::UpgradedStream,
};

/// Minimum buffer that hyper accepts. It is freed when the connection has become a WebSocket.
const HEAD_BUFFER_BYTES: usize = 8192;
/// Maximum number of sessions that begin with polling, per second. Each takes some memory until it
/// has sent its token or its time is over.
const MAX_SESSIONS_PER_SECOND: u32 = 1000;

/// Copies a request, with only the header that the library reads. The library keeps the request as
/// long as the socket, and the original would keep alive the buffer that it was parsed from.
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
    /// Performs the handshake of a WebSocket. `head` is the request, and `rest` are the bytes that
    /// were read after it. Returns when the connection has become a WebSocket or has ended.
    pub async fn upgrade<IO>(self: Arc<Self>, io: IO, head: &Parts, rest: &[u8])
    where
        IO: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let Ok(permit) = self.connection_permits.clone().try_acquire_owned() else {
            tracing::warn!(
                limit = MAX_SOCKETS,
                "too many sockets; closing a new connection"
            );
            return;
        };
        // A session that began with polling has a close handle already. The new connection must use
        // the same one, so that the handle of the socket closes the connection in use.
        let socket = match SessionId::parse(&head.uri) {
            SessionId::Some(sid) => self.connected.find(sid),
            SessionId::None | SessionId::Malformed => None,
        };
        let close_handle = socket
            .and_then(|socket| socket.close_handle.clone())
            .unwrap_or_default();
        let Ok(stream) = UpgradedStream::new(
            io,
            serialize_head(head).as_bytes(),
            rest,
            close_handle.clone(),
            permit,
        ) else {
            return;
        };
        let service = self.service.clone();
        let service = service_fn(move |request| {
            let mut request = strip_request(request);
            request.extensions_mut().insert(close_handle.clone());
            let answer = service.call(request);
            async move {
                let mut response = answer.await?;
                // A connection that does not become a WebSocket is closed. The header of a 101
                // response stays `upgrade`, because clients would reject another one.
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
            .serve_connection(TokioIo::new(stream), service);
        if let Err(error) = connection.with_upgrades().await {
            tracing::debug!(%error, "failed to upgrade a connection to a WebSocket");
        }
    }

    /// Counts a new session and returns whether the rate limit allows it.
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

/// Writes the parts of the request that the handshake needs. hyper would keep the rest as long as
/// the socket.
fn serialize_head(head: &Parts) -> String {
    let path = head.uri.path_and_query().map_or("/", |path| path.as_str());
    let mut written =
        format!("GET {path} HTTP/1.1\r\nconnection: Upgrade\r\nupgrade: websocket\r\n");
    for name in ["sec-websocket-key", "sec-websocket-version"] {
        if let Some(value) = head.headers.get(name).and_then(|value| value.to_str().ok()) {
            // Writing to a string cannot fail.
            let _ = write!(written, "{name}: {value}\r\n");
        }
    }
    written + "\r\n"
}
