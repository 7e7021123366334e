//! Compares the bytes that the server reads with the bytes that the client sent.

use tokio::io::AsyncReadExt;

use crate::http::connection::*;

const HANDSHAKE: &str = "GET /sync/io/?EIO=4&transport=websocket HTTP/1.1\r\n\
    Host: x\r\nConnection: keep-alive, Upgrade\r\n\
    Upgrade: websocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
    Sec-WebSocket-Version: 13\r\n\r\n";

/// Sends bytes in pieces of a size; returns the bytes that are passed on, and the state after them.
fn pass_through(sent: &[u8], piece: usize) -> io::Result<(Vec<u8>, State)> {
    let mut connection = Connection::new(());
    let mut passed = Vec::new();
    for piece in sent.chunks(piece) {
        connection.buffer.extend_from_slice(piece);
        connection.check_buffer()?;
        let checked = connection.checked;
        passed.extend_from_slice(&connection.buffer.split_to(checked));
        connection.checked = 0;
    }
    Ok((passed, connection.state))
}

/// Sends a text in pieces of every size, which must all have the same result.
fn pass_in_all_sizes(sent: &str) -> (String, State) {
    let (whole, state) = pass_through(sent.as_bytes(), sent.len()).unwrap();
    for piece in 1..sent.len() {
        assert_eq!(
            pass_through(sent.as_bytes(), piece).unwrap(),
            (whole.clone(), state),
            "{piece}: {sent}"
        );
    }
    (String::from_utf8(whole).unwrap(), state)
}

#[test]
fn ordinary_requests_pass_unchanged() {
    for sent in [
        "GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        "\r\n\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n",
        "POST / HTTP/1.1\r\nContent-Length: 5\r\n\r\na\nb\n\nGET / HTTP/1.1\r\n\r\n",
        "POST / HTTP/1.1\r\ncontent-length: 0\r\n\r\nGET / HTTP/1.1\r\n\r\n",
        "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n\
         5;x=y\r\na\n\n\r\n\r\n0\r\nT: a\r\n\r\nGET / HTTP/1.1\r\n\r\n",
        "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET / HTTP/1.1\r\n\r\n",
    ] {
        assert_eq!(pass_in_all_sizes(sent), (sent.to_owned(), NEXT_HEAD));
    }
}

#[test]
fn bare_line_feed_in_a_head_is_made_unparsable() {
    for (sent, expected) in [
        ("\nGET / HTTP/1.1\r\n\r\n", "\0GET / HTTP/1.1\r\n\r\n"),
        (
            "\r\n\nGET / HTTP/1.1\r\n\r\n",
            "\r\n\0GET / HTTP/1.1\r\n\r\n",
        ),
        (
            "GET / HTTP/1.1\nHost: x\r\n\r\n",
            "GET / HTTP/1.1\0Host: x\r\n\r\n",
        ),
        (
            "GET / HTTP/1.1\r\nA: b\nHost: x\r\n\r\n",
            "GET / HTTP/1.1\r\nA: b\0Host: x\r\n\r\n",
        ),
        (
            "GET / HTTP/1.1\r\nHost: x\r\n\n",
            "GET / HTTP/1.1\r\nHost: x\r\n\0",
        ),
        (
            "GET / HTTP/1.1\r\nHost: x\n\r\n",
            "GET / HTTP/1.1\r\nHost: x\0\r\n",
        ),
        (
            "POST / HTTP/1.1\r\nContent-Length: 2\r\n\r\nabGET / HTTP/1.1\nA: b\r\n\r\n",
            "POST / HTTP/1.1\r\nContent-Length: 2\r\n\r\nabGET / HTTP/1.1\0A: b\r\n\r\n",
        ),
        (
            "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\nGET /\n",
            "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\nGET /\0",
        ),
    ] {
        let (bytes, state) = pass_through(sent.as_bytes(), 1).unwrap();
        assert_eq!(
            (String::from_utf8(bytes).unwrap().as_str(), state),
            (expected, State::Raw),
            "{sent:?}"
        );
        let (bytes, _) = pass_through(sent.as_bytes(), sent.len()).unwrap();
        assert_eq!(String::from_utf8(bytes).unwrap(), expected);
    }
}

#[test]
fn bare_line_feed_in_a_trailer_ends_the_connection() {
    let head = "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n";
    for end in ["0\r\nA: b\n\r\n\r\n", "0\r\n\n"] {
        assert!(
            pass_through(format!("{head}{end}").as_bytes(), 1).is_err(),
            "{end:?}"
        );
    }
    let long = format!("{head}0\r\nA: {}", "x".repeat(MAX_LINE_BYTES));
    assert!(pass_through(long.as_bytes(), 100).is_err());
    let long = format!("{head}1;{}", "x".repeat(MAX_LINE_BYTES));
    assert!(pass_through(long.as_bytes(), 100).is_err());
}

#[test]
fn no_head_is_parsed_after_a_rejected_request() {
    for sent in [
        "POST / HTTP/1.1\r\nContent-Length: x\r\n\r\n",
        "POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
        "CONNECT x:1 HTTP/1.1\r\nHost: x\r\n\r\n",
        "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\n",
        "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1\n",
        "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n\r\n",
        "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1_0\r\n",
        "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n",
        "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n10000000000000000\r\n",
    ] {
        assert_eq!(pass_in_all_sizes(sent), (sent.to_owned(), State::Raw));
    }
    let long = format!("GET / HTTP/1.1\r\nA: {}", "x".repeat(MAX_HEAD_BYTES));
    assert_eq!(
        pass_through(long.as_bytes(), 1000).unwrap(),
        (long.into_bytes(), State::Raw)
    );
}

#[test]
fn only_a_handshake_for_sockets_takes_a_connection_over() {
    for handshake in [
        HANDSHAKE.to_owned(),
        HANDSHAKE.replace("/sync/io/?", "/sync/io?"),
        HANDSHAKE.replace("websocket HTTP", "websocket&sid=abc HTTP"),
        HANDSHAKE
            .replace("Upgrade: websocket", "uPGRADE:WebSocket")
            .replace("keep-alive, Upgrade", "upgrade"),
        HANDSHAKE.replace("Host: x", "Host: x\r\nContent-Length: 0"),
    ] {
        let sent = format!("{handshake}\n\0frames");
        assert_eq!(pass_in_all_sizes(&sent), (sent.clone(), State::Raw));
    }
    for other in [
        HANDSHAKE.replace("/sync/io/", "/api/ping"),
        HANDSHAKE.replace("transport=websocket", "transport=polling"),
        HANDSHAKE.replace("GET", "POST"),
        HANDSHAKE.replace("HTTP/1.1", "HTTP/1.0"),
        HANDSHAKE.replace("Version: 13", "Version: 8"),
        HANDSHAKE.replace("Version: 13", "Version:"),
        HANDSHAKE.replace(
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
            "Sec-WebSocket-Key:",
        ),
        HANDSHAKE.replace("Sec-WebSocket-Key", "X-Key"),
        HANDSHAKE.replace("Connection: keep-alive, Upgrade\r\n", ""),
        HANDSHAKE.replace("Host: x", "Host: x\r\nTransfer-Encoding: chunked"),
        HANDSHAKE.replace("Upgrade: websocket", "Upgrade: h2c"),
    ] {
        let (bytes, state) = pass_in_all_sizes(&other);
        assert_ne!(state, State::Raw, "{other}");
        assert_eq!(bytes.len(), other.len());
        let bytes = bytes.to_lowercase();
        assert!(
            !bytes.contains("upgrade: w") && !bytes.contains(", upgrade"),
            "{bytes}"
        );
    }
}

#[test]
fn upgrade_to_another_protocol_is_removed() {
    let sent = "POST /x HTTP/1.1\r\nConnection: Upgrade, HTTP2-Settings\r\nHost: x\r\n\
        Upgrade: h2c\r\nHTTP2-Settings: AAEAAEAAAAIAAAABAAMAAABkAAQBAAAAAAUAAEAA\r\n\
        Content-Length: 2\r\n\r\n{}GET / HTTP/1.1\r\n\r\n";
    let expected = sent
        .replace("Connection: Upgrade", "Connection:        ")
        .replace("Upgrade: h2c", "Upgrade:    ");
    assert_eq!(pass_in_all_sizes(sent), (expected, NEXT_HEAD));
    let nginx = "GET /x HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nX-Upgrade: upgrade\r\n\r\n";
    assert_eq!(
        pass_in_all_sizes(nginx),
        (
            nginx.replace("Connection: upgrade", "Connection:        "),
            NEXT_HEAD
        )
    );
}

#[tokio::test]
async fn bytes_are_passed_through_for_any_read_size() {
    let sent = format!(
        "POST / HTTP/1.1\r\nContent-Length: 100000\r\n\r\n{}GET / HT",
        "x\n".repeat(50_000)
    );
    let mut connection = Connection::new(sent.as_bytes());
    let mut passed = vec![0; 10];
    connection.read_exact(&mut passed).await.unwrap();
    connection.read_to_end(&mut passed).await.unwrap();
    assert!(passed == sent.as_bytes());
    assert_eq!(connection.buffer.capacity(), 0);
}
