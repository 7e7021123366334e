//! Tests invalid and hostile input to `/sync/io` and to its connections: it must end neither the
//! process nor the sockets of other users.

use std::time::Duration;

use doorward_tests::{App, Backend, Library, SocketClient, raw_http::Connection};
use serde_json::json;

const TIMEOUT: Duration = Duration::from_secs(5);
/// Maximum memory of the server. An idle, unoptimised server takes about 40 MiB, and each
/// connection of these tests less than 1 MiB.
const MAX_PEAK_BYTES: u64 = 160 * 1024 * 1024;
const KEY: &str = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n";
const SOCKET: &str = "/sync/io/?EIO=4&transport=websocket";

fn upgrade(path: &str) -> String {
    format!(
        "GET {path} HTTP/1.1\r\nHost: doorward\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n{KEY}\r\n"
    )
}

/// Returns a text frame of a client, masked with zeros.
fn text(message: &str) -> Vec<u8> {
    frame(0x81, message.as_bytes())
}

fn frame(flags: u8, payload: &[u8]) -> Vec<u8> {
    let length = u16::try_from(payload.len())
        .expect("a short frame")
        .to_be_bytes();
    [&[flags, 0xfe][..], &length, &[0; 4], payload].concat()
}

/// Checks that the server serves another user's socket and has not used much memory (a message has
/// at most 100,000 bytes).
async fn assert_server_is_healthy(app: &mut App) {
    assert!(app.process.is_running());
    let peak = app.process.peak_bytes().expect("Linux reports it");
    assert!(peak < MAX_PEAK_BYTES, "{} MiB", peak / (1024 * 1024));
    let token = app
        .http
        .login("ann", doorward_tests::PASSWORD)
        .await
        .token();
    let address = app.installation.variable("DOORWARD_LISTEN");
    let mut client = SocketClient::connect(
        Library::Python,
        &address,
        &["websocket"],
        &json!({"JWT": token}),
    );
    assert_eq!(client.next_message().await[0], "connect");
    assert!(
        !app.process.log().contains("panicked"),
        "{}",
        app.process.log()
    );
}

#[tokio::test]
async fn websocket_handshake_on_other_paths_is_a_normal_request() {
    let app = App::start(Backend::Sqlite).await;
    for (path, expected) in [
        ("/", "404 Not Found"),
        ("/sync/iox", "404 Not Found"),
        ("/api/login", "405 Method Not Allowed"),
    ] {
        let mut connection = Connection::open(app.http.address()).await;
        connection.send(upgrade(path).as_bytes()).await;
        // The connection still accepts HTTP requests.
        connection
            .send(b"GET /api/ping HTTP/1.1\r\nHost: doorward\r\nConnection: close\r\n\r\n")
            .await;
        let answer = connection.rest(TIMEOUT).await.to_lowercase();
        assert!(answer.contains("http/1.1 200 ok"), "{path}: {answer}");
        assert!(
            answer.starts_with(&format!("http/1.1 {}", expected.to_lowercase())),
            "{path}: {answer}"
        );
        assert!(
            answer.contains("x-request-id: ") && answer.contains("connection: close"),
            "{answer}"
        );
        assert!(
            answer.contains(r#"{"success":false,"result":{"code":"#),
            "{answer}"
        );
    }
    let mut connection = Connection::open(app.http.address()).await;
    connection
        .send(b"CONNECT example.org:443 HTTP/1.1\r\nHost: example.org\r\n\r\n")
        .await;
    let answer = connection.rest(TIMEOUT).await;
    assert!(answer.starts_with("HTTP/1.1 4"), "{answer}");
}

#[tokio::test]
async fn connection_may_become_a_socket_after_other_requests() {
    let app = App::start(Backend::Sqlite).await;
    let mut connection = Connection::open(app.http.address()).await;
    let ping = "GET /api/ping HTTP/1.1\r\nHost: doorward\r\n\r\n";
    connection
        .send(format!("{ping}{ping}{}", upgrade(SOCKET)).as_bytes())
        .await;
    // The close packet of Engine.IO, sent together with the head.
    connection.send(&text("1")).await;
    let all = connection.rest(TIMEOUT).await;
    assert_eq!(all.matches("HTTP/1.1 200 OK").count(), 2, "{all}");
    assert_eq!(
        all.matches("HTTP/1.1 101 Switching Protocols").count(),
        1,
        "{all}"
    );
    assert!(all.contains(r#"0{"sid":""#), "{all}");
}

#[tokio::test]
async fn invalid_packet_ends_only_its_connection() {
    let mut app = App::start(Backend::Sqlite).await;
    let ann = app.user("ann").await;
    let connect = format!("40{}", json!({"JWT": ann.token}));
    let huge = [
        &[0x82, 0xff, 0, 0, 0, 1, 0, 0, 0, 0][..],
        &[0; 4],
        &[b'x'; 200_000],
    ]
    .concat();
    let fragments = [frame(0x01, &[b'4'; 60_000]), frame(0x00, &[b'4'; 60_000])].concat();
    // A frame with a length of almost 2^63 bytes, of which only the beginning is sent.
    let endless = [
        &[0x82, 0xff, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff][..],
        &[0; 4],
        &[b'x'; 60_000],
    ]
    .concat();
    // A message of 2,001 fragments without the last one.
    let many = frame(0x01, &[b'4'; 1000])
        .into_iter()
        .chain(frame(0x00, &[b'4'; 1000]).repeat(2000))
        .collect();
    let wrong: [Vec<u8>; 14] = [
        text("x"),
        text(""),
        text("0"),
        text("4"),
        text("49"),
        text("4{}"),
        text("451-[\"init\",{\"_placeholder\":true,\"num\":7}]"),
        text("42[\"init\""),
        text("41/nowhere,"),
        frame(0x82, &[0xff; 100]),
        huge,
        fragments,
        endless,
        many,
    ];
    for bytes in wrong {
        for first in [vec![], text(&connect)] {
            let mut connection = Connection::open(app.http.address()).await;
            connection.send(upgrade(SOCKET).as_bytes()).await;
            connection.send(&first).await;
            connection.send(&bytes).await;
            connection.send(&text("1")).await;
            connection.rest(TIMEOUT).await;
        }
    }
    assert_server_is_healthy(&mut app).await;
}

#[tokio::test]
async fn unknown_events_are_ignored_or_rejected() {
    let mut app = App::start(Backend::Sqlite).await;
    let ann = app.user("ann").await;
    let address = app.installation.variable("DOORWARD_LISTEN");
    for library in Library::IN_ORDER {
        let mut client = SocketClient::connect(
            library,
            &address,
            &["websocket"],
            &json!({"JWT": ann.token}),
        );
        assert_eq!(client.next_message().await[0], "connect");
        client.emit(&json!(["sync", [1]]));
        client.emit(&json!(["unknown", {"a": {"b": [null]}}]));
        for parameters in [json!([]), json!(null), json!("x"), json!(7)] {
            let answer = client.request(&json!(["init", parameters])).await;
            assert_eq!(answer["result"]["code"], 400, "{answer}");
            assert_eq!(
                answer["result"]["info"],
                json!({"Invalid body": "it is not a JSON object"}),
                "{answer}"
            );
        }
        let answer = client.request(&json!(["init"])).await;
        assert_eq!(answer["result"]["code"], 400, "{answer}");
        let answer = client.request(&json!(["init", {"cc_cursor": -1}])).await;
        assert_eq!(
            answer["result"]["info"],
            json!({"Invalid parameter": "cc_cursor"}),
            "{answer}"
        );
    }
    assert_server_is_healthy(&mut app).await;
}

#[tokio::test]
async fn polling_has_bounds_and_the_headers_of_the_gateway() {
    let mut app = App::with_settings(
        Backend::Sqlite,
        &[("DOORWARD_CORS_ORIGINS", "https://app.example.org")],
    )
    .await;
    app.user("ann").await;
    let path = "/sync/io/?EIO=4&transport=polling";
    let opened = app
        .http
        .get(path)
        .header("origin", "https://app.example.org")
        .send()
        .await;
    assert_eq!(opened.status, 200);
    for (name, value) in [
        ("cache-control", "no-store"),
        ("access-control-allow-origin", "https://app.example.org"),
    ] {
        assert_eq!(opened.header(name), Some(value), "{name}");
    }
    assert!(opened.header("x-request-id").is_some());
    for bad in [
        "/sync/io/?EIO=3&transport=polling",
        "/sync/io/?EIO=4&transport=x",
        "/sync/io/?EIO=4&transport=polling&sid=AAAAAAAAAAAAAAAA",
        SOCKET,
    ] {
        assert_eq!(app.http.get(bad).send().await.status, 400, "{bad}");
    }
    assert_eq!(app.http.post(path).body("x").send().await.status, 400);
    assert_eq!(
        app.http
            .post(path)
            .body("x".repeat(200_000))
            .send()
            .await
            .status,
        413
    );
    assert_eq!(
        app.http
            .call(http::Method::DELETE, path)
            .send()
            .await
            .status,
        405
    );
    assert_server_is_healthy(&mut app).await;
}
