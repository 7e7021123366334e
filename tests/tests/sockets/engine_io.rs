//! Tests Engine.IO v4 and Socket.IO v5 packet by packet, over polling and over a WebSocket, as
//! their documents and public test suites describe them. Packets begin with a type: `0` open, `1`
//! close, `2` ping, `3` pong, `4` message, `5` upgrade, `6` noop; `40` connects to a namespace and
//! `42` is an event.

use std::time::Duration;

use doorward_tests::{
    App, Backend, Http, Response, User, WebSocket, eventually, raw_http::Connection,
};
use serde_json::{Value, json};

const POLLING: &str = "/sync/io/?EIO=4&transport=polling";
const TIMEOUT: Duration = Duration::from_secs(5);
const SEPARATOR: &str = "\u{1e}";

/// A polling session whose requests are sent by the test.
struct Polling<'a> {
    http: &'a Http,
    sid: String,
    path: String,
}

impl<'a> Polling<'a> {
    async fn open(http: &'a Http) -> Self {
        let open = open_packet(&http.get(POLLING).send().await);
        let sid = open["sid"].as_str().expect("an id").to_owned();
        let session = Self {
            http,
            path: format!("{POLLING}&sid={sid}"),
            sid,
        };
        // The server sends the first ping immediately.
        assert_eq!(session.poll().await.text(), "2");
        session.send_ok("3").await;
        session
    }

    /// Opens a session and connects it to the namespace.
    async fn connected(http: &'a Http, user: &User) -> Self {
        let session = Self::open(http).await;
        session
            .send_ok(&format!("40{}", json!({"JWT": user.token})))
            .await;
        let joined = session.poll().await;
        assert!(
            joined.text().starts_with("40{\"sid\":"),
            "{}",
            joined.text()
        );
        session
    }

    async fn poll(&self) -> Response {
        self.http.get(&self.path).send().await
    }

    async fn send(&self, packets: &str) -> Response {
        self.http
            .post(&self.path)
            .header("content-type", "text/plain;charset=UTF-8")
            .body(packets.to_owned())
            .send()
            .await
    }

    async fn send_ok(&self, packets: &str) {
        let answer = self.send(packets).await;
        assert_eq!(
            (answer.status, answer.text().as_str()),
            (200, "ok"),
            "{packets}"
        );
    }

    async fn assert_closed(&self) {
        assert_engine_error(&self.poll().await, 1);
        assert_engine_error(&self.send("3").await, 1);
    }
}

fn open_packet(answer: &Response) -> Value {
    assert_eq!(answer.status, 200, "{}", answer.text());
    serde_json::from_str(answer.text().strip_prefix('0').expect("an open packet")).expect("JSON")
}

fn assert_engine_error(answer: &Response, code: u8) {
    let message = [
        "Transport unknown",
        "Session ID unknown",
        "Bad handshake method",
        "Bad request",
        "",
        "Unsupported protocol version",
    ];
    assert_eq!(answer.status, 400, "{}", answer.text());
    assert_eq!(
        answer.json(),
        json!({"code": code, "message": message[usize::from(code)]})
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn handshake_opens_a_session() {
    let app = App::start(Backend::Sqlite).await;
    let answer = app.http.get(POLLING).send().await;
    assert_eq!(
        answer
            .header("content-type")
            .map(str::to_lowercase)
            .as_deref(),
        Some("text/plain; charset=utf-8")
    );
    let open = open_packet(&answer);
    assert_eq!(open["upgrades"], json!(["websocket"]));
    for number in ["pingInterval", "pingTimeout", "maxPayload"] {
        assert!(open[number].is_u64(), "{open}");
    }
    assert!(
        open["sid"].as_str().is_some_and(|sid| sid.len() >= 16),
        "{open}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_handshake_has_the_documented_error_with_a_number_as_code() {
    let app = App::start(Backend::Sqlite).await;
    for (query, code) in [
        ("transport=polling", 5),
        ("EIO=abc&transport=polling", 5),
        ("EIO=3&transport=polling", 5),
        ("EIO=4", 0),
        ("EIO=4&transport=abc", 0),
    ] {
        assert_engine_error(
            &app.http.get(&format!("/sync/io/?{query}")).send().await,
            code,
        );
    }
    assert_engine_error(&app.http.post(POLLING).body("40").send().await, 2);
    assert_eq!(
        app.http
            .call(http::Method::PUT, POLLING)
            .send()
            .await
            .status,
        405
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn unknown_session_is_code_1_in_every_form() {
    let app = App::start(Backend::Sqlite).await;
    let long = "A".repeat(2000);
    for sid in [
        "AAAAAAAAAAAAAAAA",
        "x",
        "",
        "AAAAAAAAAAAAAAA%41",
        "%00",
        "AAAAAAAAAAAAAAA=",
        "../../etc/passwd",
        &long,
    ] {
        let path = format!("{POLLING}&sid={sid}");
        assert_engine_error(&app.http.get(&path).send().await, 1);
        assert_engine_error(&app.http.post(&path).body("40").send().await, 1);
    }
    assert_engine_error(&app.http.get(&format!("{POLLING}&sid")).send().await, 1);
    for sid in ["AAAAAAAAAAAAAAAA", "x", ""] {
        let answer = websocket_handshake(&app, &format!("&sid={sid}"), "").await;
        assert!(
            answer.starts_with("HTTP/1.1 400 ") && answer.contains(r#"{"code":1,"#),
            "{answer}"
        );
    }
}

/// Sends the head of a WebSocket handshake, then requests `/api/ping` over the same connection.
async fn websocket_handshake(app: &App, query: &str, headers: &str) -> String {
    let mut connection = Connection::open(app.http.address()).await;
    let head = format!(
        "GET /sync/io/?EIO=4&transport=websocket{query} HTTP/1.1\r\nHost: doorward\r\nConnection: Upgrade\r\n\
         Upgrade: websocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n{headers}\r\n"
    );
    connection.send(head.as_bytes()).await;
    connection
        .send(b"GET /api/ping HTTP/1.1\r\nHost: doorward\r\nConnection: close\r\n\r\n")
        .await;
    connection.rest(TIMEOUT).await
}

#[tokio::test(flavor = "multi_thread")]
async fn session_answers_only_the_client_that_opened_it() {
    let app = App::with_settings(
        Backend::Sqlite,
        &[("DOORWARD_TRUSTED_PROXIES", "127.0.0.0/8")],
    )
    .await;
    let from = |address: &'static str| ("x-forwarded-for", address);
    for (own, foreign) in [
        ("192.0.2.1", "192.0.2.2"),
        ("2001:db8:1:2::1", "2001:db8:1:3::1"),
        ("192.0.2.1", "2001:db8::1"),
    ] {
        let (name, address) = from(own);
        let open = open_packet(&app.http.get(POLLING).header(name, address).send().await);
        let path = format!("{POLLING}&sid={}", open["sid"].as_str().expect("an id"));
        let (_, stranger) = from(foreign);
        assert_engine_error(&app.http.get(&path).header(name, stranger).send().await, 1);
        assert_engine_error(
            &app.http
                .post(&path)
                .header(name, stranger)
                .body("1")
                .send()
                .await,
            1,
        );
        let query = format!("&sid={}", open["sid"].as_str().expect("an id"));
        let hijacked =
            websocket_handshake(&app, &query, &format!("X-Forwarded-For: {foreign}\r\n")).await;
        assert!(hijacked.contains(r#"{"code":1,"#), "{hijacked}");
        // The session of its owner still works.
        assert_eq!(
            app.http
                .post(&path)
                .header(name, address)
                .body("40{}")
                .send()
                .await
                .status,
            200
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_go_both_ways_over_polling() {
    let app = App::start(Backend::Sqlite).await;
    let ann = app.user("ann").await;
    let session = Polling::connected(&app.http, &ann).await;
    let ask = |number: usize| format!("42{number}{}", json!(["init", {"cc_cursor": 0}]));
    session.send_ok(&[ask(1), ask(2)].join(SEPARATOR)).await;
    let mut packets = Vec::new();
    while packets.len() < 2 {
        packets.extend(
            session
                .poll()
                .await
                .text()
                .split(SEPARATOR)
                .map(str::to_owned),
        );
    }
    packets.sort();
    assert!(
        packets[0].starts_with("431[{\"success\":") && packets[1].starts_with("432[{\"success\":"),
        "{packets:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn invalid_packet_ends_the_session() {
    let app = App::start(Backend::Sqlite).await;
    for bytes in [&b"abc"[..], b"", b"4\xff\xfe", b"b%%%"] {
        let session = Polling::open(&app.http).await;
        let answer = app
            .http
            .post(&session.path)
            .body(bytes.to_vec())
            .send()
            .await;
        assert_engine_error(&answer, 3);
        session.assert_closed().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn second_poll_ends_the_session() {
    let app = App::start(Backend::Sqlite).await;
    let ann = app.user("ann").await;
    for session in [
        Polling::open(&app.http).await,
        Polling::connected(&app.http, &ann).await,
    ] {
        let (first, second) = {
            let mut first = Box::pin(session.poll());
            // The first poll is open before the second is sent.
            assert!(
                tokio::time::timeout(Duration::from_millis(300), &mut first)
                    .await
                    .is_err()
            );
            let second = session.poll().await;
            (first.await, second)
        };
        assert_eq!((first.status, first.text().as_str()), (200, "1"));
        assert_engine_error(&second, 3);
        session.assert_closed().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn close_packet_ends_the_session_and_answers_the_open_poll() {
    let app = App::start(Backend::Sqlite).await;
    let ann = app.user("ann").await;
    let session = Polling::connected(&app.http, &ann).await;
    let (poll, ()) = tokio::join!(session.poll(), async {
        tokio::time::sleep(Duration::from_millis(200)).await;
        session.send_ok("1").await;
    });
    assert_eq!((poll.status, poll.text().as_str()), (200, "6"));
    session.assert_closed().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn upgrade_answers_the_open_poll_and_ends_polling() {
    let app = App::start(Backend::Sqlite).await;
    let ann = app.user("ann").await;
    let session = Polling::connected(&app.http, &ann).await;
    let query = format!("&sid={}", session.sid);
    let (poll, mut socket) = tokio::join!(session.poll(), async {
        tokio::time::sleep(Duration::from_millis(200)).await;
        WebSocket::open_at(app.http.address(), &query).await
    });
    assert_eq!((poll.status, poll.text().as_str()), (200, "6"), "noop");
    socket.send("2probe".to_owned()).await;
    assert_eq!(socket.packet().await.as_deref(), Some("3probe"));
    assert_eq!(
        session.poll().await.text(),
        "6",
        "polls get a noop until the upgrade is complete"
    );
    socket.send("5".to_owned()).await;
    let answer = socket.ask(&json!(["init", {"cc_cursor": 0}])).await;
    assert_eq!(answer["success"], true, "{answer}");

    assert_engine_error(&session.poll().await, 3);
    assert_engine_error(&session.send("3").await, 3);
    let again = websocket_handshake(&app, &query, "").await;
    assert!(
        again.starts_with("HTTP/1.1 400 ") && again.contains(r#"{"code":3,"#),
        "{again}"
    );
    let answer = socket.ask(&json!(["init", {"cc_cursor": 0}])).await;
    assert_eq!(answer["success"], true, "the socket stays: {answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_probe_ends_the_session() {
    let app = App::start(Backend::Sqlite).await;
    for wrong in ["2", "4probe", "5", "x", "2probe\u{1e}5"] {
        let session = Polling::open(&app.http).await;
        let mut socket =
            WebSocket::open_at(app.http.address(), &format!("&sid={}", session.sid)).await;
        socket.send(wrong.to_owned()).await;
        assert_eq!(socket.packet().await, None, "{wrong}");
        eventually("an end of the session", TIMEOUT, async || {
            (session.poll().await.status == 400).then_some(())
        })
        .await;
        session.assert_closed().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn socket_io_connects_to_one_namespace() {
    let app = App::start(Backend::Sqlite).await;
    let ann = app.user("ann").await;
    let session = Polling::open(&app.http).await;
    session
        .send_ok(&format!("40/elsewhere,{}", json!({"JWT": ann.token})))
        .await;
    let refused = session.poll().await.text();
    assert!(
        refused.starts_with("44/elsewhere,{\"message\":"),
        "{refused}"
    );
    session.send_ok(r#"40{"JWT":"x"}"#).await;
    assert_eq!(
        session.poll().await.text(),
        r#"44{"message":"Permission denied"}"#
    );
    session
        .send_ok(&format!("40{}", json!({"JWT": ann.token})))
        .await;
    assert!(session.poll().await.text().starts_with("40{\"sid\":"));
    session.send_ok("41").await;
}
