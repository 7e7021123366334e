//! Engine.IO over long polling, and the rules of sessions that the library leaves open: only the
//! client that opened a session may use it, one poll at a time, and errors have the documented
//! form.

use std::{net::IpAddr, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{
    HeaderValue, Method, Request, Response, StatusCode, Uri,
    header::{CONTENT_LENGTH, CONTENT_TYPE},
};
use http_body_util::{BodyExt, Full};
use hyper::service::Service;
use serde::Deserialize;
use socketioxide::socket::Sid;

use crate::{
    close_handle::CloseHandle, empty_response::empty_response, sessions::PollingSession,
    sockets::Sockets,
};

/// Time after the start of a shutdown in which an open poll can be answered with a close packet.
const SHUTDOWN_GRACE: Duration = Duration::from_millis(500);
/// Close packet of Engine.IO, as a body.
const CLOSE: &str = "1";
/// First byte of an open packet.
const OPEN: u8 = b'0';

/// Errors of the handshake and of sessions (Engine.IO's `Server.errors`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum EngineError {
    UnknownTransport,
    UnknownSession,
    BadHandshakeMethod,
    BadRequest,
    UnsupportedProtocol,
}

impl EngineError {
    const fn code_and_message(self) -> (u8, &'static str) {
        match self {
            Self::UnknownTransport => (0, "Transport unknown"),
            Self::UnknownSession => (1, "Session ID unknown"),
            Self::BadHandshakeMethod => (2, "Bad handshake method"),
            Self::BadRequest => (3, "Bad request"),
            Self::UnsupportedProtocol => (5, "Unsupported protocol version"),
        }
    }

    /// The 400 response, whose `code` is a number.
    fn response(self) -> Response<Bytes> {
        let (code, message) = self.code_and_message();
        let mut response =
            Response::new(format!(r#"{{"code":{code},"message":"{message}"}}"#).into());
        *response.status_mut() = StatusCode::BAD_REQUEST;
        response
            .headers_mut()
            .insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        response
    }
}

/// The `sid` of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SessionId {
    None,
    Some(Sid),
    /// Present, and not an id.
    Malformed,
}

impl SessionId {
    pub(crate) fn parse(uri: &Uri) -> Self {
        let mut pairs = uri
            .query()
            .unwrap_or_default()
            .split('&')
            .map(|pair| pair.split_once('=').unwrap_or((pair, "")));
        match pairs.find(|(name, _)| *name == "sid") {
            None => Self::None,
            Some((_, sid)) => sid.parse().map_or(Self::Malformed, Self::Some),
        }
    }
}

impl Sockets {
    /// Handles a request of long polling. Also handles a request for a WebSocket that was rejected
    /// before its connection was taken over.
    pub async fn handle_polling(&self, request: Request<Bytes>, client: IpAddr) -> Response<Bytes> {
        let answer = async {
            if has_query_pair(request.uri(), "transport=websocket") {
                // A rejected handshake, or a request that lacks the headers of a handshake.
                let error = self.check_handshake(request.uri(), client).err();
                return error.unwrap_or(EngineError::BadRequest).response();
            }
            match SessionId::parse(request.uri()) {
                SessionId::None => self.open(request, client).await,
                SessionId::Malformed => EngineError::UnknownSession.response(),
                SessionId::Some(sid) => match self.sessions.find(sid, client) {
                    None => EngineError::UnknownSession.response(),
                    Some(session) if request.method() == Method::GET => {
                        self.poll(request, sid, &session).await
                    }
                    // An empty body has no packet, which the library does not reject.
                    Some(session) if request.body().is_empty() => {
                        self.end_session(request.uri().clone(), sid, &session).await;
                        EngineError::BadRequest.response()
                    }
                    Some(_) => self.call(request).await,
                },
            }
        };
        let shutdown = async {
            self.shutdown.cancelled().await;
            tokio::time::sleep(SHUTDOWN_GRACE).await;
        };
        tokio::select! {
            answer = answer => answer,
            () = shutdown => empty_response(StatusCode::SERVICE_UNAVAILABLE),
        }
    }

    /// Returns whether the connection of a WebSocket handshake can be taken over: for a new
    /// session, and once for a session of the same client that began with polling.
    pub fn accept_handshake(&self, uri: &Uri, client: IpAddr) -> bool {
        match self.check_handshake(uri, client) {
            Ok(None) => true,
            Ok(Some(session)) => session.try_upgrade(),
            Err(_) => false,
        }
    }

    /// Finds the session of a handshake, if it names one.
    fn check_handshake(
        &self,
        uri: &Uri,
        client: IpAddr,
    ) -> Result<Option<Arc<PollingSession>>, EngineError> {
        if !has_query_pair(uri, "EIO=4") {
            return Err(EngineError::UnsupportedProtocol);
        }
        match SessionId::parse(uri) {
            SessionId::None => Ok(None),
            SessionId::Malformed => Err(EngineError::UnknownSession),
            SessionId::Some(sid) => self
                .sessions
                .find(sid, client)
                .map(Some)
                .ok_or(EngineError::UnknownSession),
        }
    }

    /// Opens a session. The extensions of its request belong to the session and are dropped with
    /// it, which is how [`PollingSessions`](crate::sessions::PollingSessions) sees its end.
    async fn open(&self, mut request: Request<Bytes>, client: IpAddr) -> Response<Bytes> {
        if !self.accepts_session() {
            return empty_response(StatusCode::SERVICE_UNAVAILABLE);
        }
        let session = Arc::new(PollingSession::new(client));
        request.extensions_mut().insert(CloseHandle::default());
        request.extensions_mut().insert(session.clone());
        let response = self.call(request).await;
        if let Some(sid) = parse_open_packet(&response) {
            self.sessions.insert(sid, &session);
        }
        response
    }

    /// Handles a poll. A second poll while one is open ends the session, as the protocol demands:
    /// the open one is answered with a close packet.
    async fn poll(
        &self,
        request: Request<Bytes>,
        sid: Sid,
        session: &PollingSession,
    ) -> Response<Bytes> {
        let Some(_open) = session.open_poll() else {
            self.end_session(request.uri().clone(), sid, session).await;
            return EngineError::BadRequest.response();
        };
        tokio::select! {
            biased;
            () = session.closed.cancelled() => text_response(CLOSE),
            response = self.call(request) => response,
        }
    }

    /// Ends a session. An open poll is answered with a close packet.
    async fn end_session(&self, uri: Uri, sid: Sid, session: &PollingSession) {
        session.closed.cancel();
        self.sessions.remove(sid);
        // The library has no function to end a session, but a close packet of the client does.
        if let Ok(close) = Request::post(uri).body(Bytes::from_static(CLOSE.as_bytes())) {
            self.call(close).await;
        }
    }

    /// Calls the library and replaces its undocumented errors.
    async fn call(&self, request: Request<Bytes>) -> Response<Bytes> {
        let is_poll = request.method() == Method::GET;
        let Ok(response) = self.service.call(request.map(Full::new)).await;
        let (head, body) = response.into_parts();
        match (head.status, body.collect().await) {
            (StatusCode::BAD_REQUEST, Ok(body)) => to_documented_error(&body.to_bytes()).response(),
            // The session ended while the poll was open.
            (StatusCode::INTERNAL_SERVER_ERROR, _) if is_poll => {
                EngineError::UnknownSession.response()
            }
            // The body was not a list of packets.
            (StatusCode::INTERNAL_SERVER_ERROR, _) | (_, Err(_)) => {
                EngineError::BadRequest.response()
            }
            (_, Ok(body)) => Response::from_parts(head, body.to_bytes()),
        }
    }
}

fn has_query_pair(uri: &Uri, wanted: &str) -> bool {
    uri.query()
        .is_some_and(|query| query.split('&').any(|pair| pair == wanted))
}

/// Converts an error of the library, which writes `code` as a string and omits the body of some
/// errors.
fn to_documented_error(body: &[u8]) -> EngineError {
    #[derive(Deserialize)]
    struct Library<'a> {
        code: &'a str,
    }
    match serde_json::from_slice(body) {
        Ok(Library { code: "0" }) => EngineError::UnknownTransport,
        Ok(Library { code: "1" }) => EngineError::UnknownSession,
        Ok(Library { code: "2" }) => EngineError::BadHandshakeMethod,
        Ok(Library { code: "5" }) => EngineError::UnsupportedProtocol,
        Ok(_) | Err(_) => EngineError::BadRequest,
    }
}

/// Returns the session id in an open packet.
fn parse_open_packet(response: &Response<Bytes>) -> Option<Sid> {
    #[derive(Deserialize)]
    struct Open {
        sid: Sid,
    }
    let packet = response.body().strip_prefix(&[OPEN])?;
    serde_json::from_slice(packet)
        .map(|open: Open| open.sid)
        .ok()
}

fn text_response(packet: &'static str) -> Response<Bytes> {
    let mut response = Response::new(Bytes::from_static(packet.as_bytes()));
    response.headers_mut().insert(
        CONTENT_TYPE,
        HeaderValue::from_static("text/plain; charset=UTF-8"),
    );
    response
        .headers_mut()
        .insert(CONTENT_LENGTH, HeaderValue::from(packet.len()));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn malformed_session_id_is_not_a_request_without_one() {
        let parse = |query: &str| {
            SessionId::parse(
                &format!("/sync/io/?EIO=4&transport=polling{query}")
                    .parse()
                    .unwrap(),
            )
        };
        assert_eq!(parse(""), SessionId::None);
        assert_eq!(parse("&xsid=AAAAAAAAAAAAAAAA"), SessionId::None);
        let sid = "AAAAAAAAAAAAAAAA".parse().unwrap();
        assert_eq!(parse("&sid=AAAAAAAAAAAAAAAA&t=1"), SessionId::Some(sid));
        for malformed in [
            "&sid",
            "&sid=",
            "&sid=x",
            "&sid=AAAAAAAAAAAAAAA%41",
            "&sid=AAAAAAAAAAAAAAAA=",
            "&sid=&sid=AAAAAAAAAAAAAAAA",
        ] {
            assert_eq!(parse(malformed), SessionId::Malformed, "{malformed}");
        }
    }

    #[test]
    fn errors_have_a_number_as_code() {
        for (library, code) in [
            (r#"{"code":"0","message":"Transport unknown"}"#, 0),
            (r#"{"code":"1","message":"Session ID unknown"}"#, 1),
            (r#"{"code":"2","message":"Bad handshake method"}"#, 2),
            (r#"{"code":"3","message":"Bad request"}"#, 3),
            (
                r#"{"code":"5","message":"Unsupported protocol version"}"#,
                5,
            ),
            ("", 3),
        ] {
            let body: serde_json::Value =
                serde_json::from_slice(to_documented_error(library.as_bytes()).response().body())
                    .unwrap();
            assert_eq!(body["code"], code, "{library}");
        }
    }
}
