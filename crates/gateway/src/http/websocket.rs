//! Heads of WebSocket handshakes: the path that accepts them, and their conversion for
//! `doorward_sync`.

use actix_web::{HttpMessage, http::Uri};
use doorward_sync::PATH;
use http::{Request, request::Parts};

/// Returns whether a WebSocket handshake is for the sockets. Clients append a slash to the path.
pub(crate) fn is_socket_path(uri: &Uri) -> bool {
    let path = uri.path().strip_suffix('/').unwrap_or(uri.path());
    path == PATH
        && uri
            .query()
            .is_some_and(|query| query.split('&').any(|pair| pair == "transport=websocket"))
}

/// Converts the head of a WebSocket handshake. actix-web and `doorward_sync` use different versions
/// of the `http` types.
pub(crate) fn to_http_parts(request: &actix_http::Request) -> Option<Parts> {
    let mut head = Request::builder().uri(request.uri().to_string());
    for (name, value) in request.headers() {
        head = head.header(name.as_str(), value.as_bytes());
    }
    Some(head.body(()).ok()?.into_parts().0)
}
