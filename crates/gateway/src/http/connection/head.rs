//! Checks a complete request head: what follows it on the connection, and whether it upgrades the
//! connection.
//!
//! Example: a head for `/sync/io/?EIO=4&transport=websocket` has these lines.
//!
//! ```text
//! Connection: keep-alive, Upgrade
//! Upgrade: websocket
//! Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==
//! Sec-WebSocket-Version: 13
//! ```
//!
//! It is a handshake: it stays as it is, and [`State::Raw`] follows. With version 8, or for the
//! path `/api/ping`, it is not a handshake: `Upgrade` in the first line and `websocket` in the
//! second become spaces, and the next head follows.

use actix_web::http::Uri;

use crate::http::{
    connection::state::{NEXT_HEAD, State},
    websocket,
};

/// Checks a head, removes a request for an upgrade that is not allowed, and returns the state after
/// the head.
pub(super) fn check_head(head: &mut [u8]) -> State {
    let facts = HeadFacts::parse(head);
    if facts.is_handshake() {
        return State::Raw;
    }
    if facts.asks_for_upgrade || facts.names_protocol {
        remove_upgrade(head);
    }
    facts.body()
}

/// Properties of a head that decide what follows it.
#[derive(Default)]
struct HeadFacts {
    is_get: bool,
    is_connect: bool,
    is_http_1_1: bool,
    is_for_sockets: bool,
    /// Whether `Connection` has the option `upgrade`.
    asks_for_upgrade: bool,
    /// Whether the head has an `Upgrade` header.
    names_protocol: bool,
    is_for_websocket: bool,
    has_key: bool,
    has_version: bool,
    is_chunked: bool,
    /// `Content-Length`: `None` without the header, `Some(None)` if its value is not a number.
    length: Option<Option<u64>>,
}

impl HeadFacts {
    fn parse(head: &[u8]) -> Self {
        let mut lines = head.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii);
        let mut facts = Self::default();
        facts.parse_request_line(lines.next().unwrap_or_default());
        for line in lines {
            if let Some(colon) = line.iter().position(|byte| *byte == b':') {
                let (name, value) = line.split_at(colon);
                facts.parse_header(name, value.get(1..).unwrap_or_default().trim_ascii());
            }
        }
        facts
    }

    fn parse_request_line(&mut self, line: &[u8]) {
        let mut words = line.split(|byte| *byte == b' ');
        let method = words.next().unwrap_or_default();
        self.is_get = method == b"GET";
        self.is_connect = method == b"CONNECT";
        let target = words.next().and_then(|target| Uri::try_from(target).ok());
        self.is_for_sockets = target.is_some_and(|target| websocket::is_socket_path(&target));
        self.is_http_1_1 = words.next() == Some(b"HTTP/1.1");
    }

    fn parse_header(&mut self, name: &[u8], value: &[u8]) {
        if name.eq_ignore_ascii_case(b"connection") {
            self.asks_for_upgrade |= value.split(|byte| *byte == b',').any(is_upgrade);
        } else if name.eq_ignore_ascii_case(b"upgrade") {
            self.names_protocol = true;
            self.is_for_websocket = value.eq_ignore_ascii_case(b"websocket");
        } else if name.eq_ignore_ascii_case(b"sec-websocket-key") {
            self.has_key = !value.is_empty();
        } else if name.eq_ignore_ascii_case(b"sec-websocket-version") {
            self.has_version = value == b"13";
        } else if name.eq_ignore_ascii_case(b"transfer-encoding") {
            self.is_chunked = true;
        } else if name.eq_ignore_ascii_case(b"content-length") {
            self.length = Some(
                std::str::from_utf8(value)
                    .ok()
                    .and_then(|value| value.parse().ok()),
            );
        }
    }

    /// Returns whether this is a WebSocket handshake (RFC 6455, section 4.2.1) for the path of
    /// sockets.
    fn is_handshake(&self) -> bool {
        let is_upgrade =
            self.asks_for_upgrade && self.is_for_websocket && self.has_key && self.has_version;
        let has_body = self.is_chunked || !matches!(self.length, None | Some(Some(0)));
        self.is_get && self.is_http_1_1 && self.is_for_sockets && is_upgrade && !has_body
    }

    /// Returns the state after the head (RFC 9112, section 6.3). A chunked body has precedence over
    /// a length; the server rejects a head with both.
    fn body(&self) -> State {
        match self.length {
            _ if self.is_connect => State::Raw,
            _ if self.is_chunked => State::ChunkSize,
            None | Some(Some(0)) => NEXT_HEAD,
            Some(Some(left)) => State::Data {
                left,
                is_chunk: false,
            },
            Some(None) => State::Raw,
        }
    }
}

fn is_upgrade(option: &[u8]) -> bool {
    option.trim_ascii().eq_ignore_ascii_case(b"upgrade")
}

/// Overwrites the option `upgrade` of `Connection`, and the value of `Upgrade`, with spaces. The
/// length of the head does not change. Every line must end with CR LF.
fn remove_upgrade(head: &mut [u8]) {
    for line in head.split_mut(|byte| *byte == b'\n').skip(1) {
        let Some(colon) = line.iter().position(|byte| *byte == b':') else {
            continue;
        };
        let (name, value) = line.split_at_mut(colon);
        let Some((_, value)) = value.split_first_mut() else {
            continue;
        };
        // The last byte is CR and must stay.
        let Some((_, value)) = value.split_last_mut() else {
            continue;
        };
        if name.eq_ignore_ascii_case(b"upgrade") {
            value.fill(b' ');
        } else if name.eq_ignore_ascii_case(b"connection") {
            value
                .split_mut(|byte| *byte == b',')
                .filter(|option| is_upgrade(option))
                .for_each(|option| option.fill(b' '));
        }
    }
}
