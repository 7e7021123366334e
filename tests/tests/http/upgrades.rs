//! Tests requests that offer another protocol: only a WebSocket handshake on the path of sockets
//! upgrades the connection, all others are ordinary requests and keep it open. Also tests that
//! ambiguous request heads (request smuggling) are rejected.

use std::time::Duration;

use doorward_tests::{App, Backend, Call, PASSWORD, nginx::Nginx, raw_http, websocket::WebSocket};
use futures_util::{StreamExt, stream};
use serde_json::json;

const EVENTUALLY_TIMEOUT: Duration = Duration::from_secs(10);
const REQUESTS: usize = 10_000;
const AT_ONCE: usize = 16;
/// The headers by which Java's `HttpClient` offers HTTP/2 in its first request to a server.
const H2C: &str = "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n\
    HTTP2-Settings: AAEAAEAAAAIAAAABAAMAAABkAAQBAAAAAAUAAEAA\r\n";
const HANDSHAKE: &str = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
    Sec-WebSocket-Version: 13\r\n";

fn request(method: &str, path: &str, headers: &str, body: &str) -> String {
    let length = if body.is_empty() {
        String::new()
    } else {
        format!("Content-Length: {}\r\n", body.len())
    };
    format!(
        "{method} {path} HTTP/1.1\r\nHost: doorward\r\nContent-Type: application/json\r\n{headers}{length}\r\n{body}"
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn request_that_offers_another_protocol_keeps_the_connection() {
    let app = App::start(Backend::Sqlite).await;
    app.user("ann").await;
    let login = json!({"username": "ann", "password": PASSWORD}).to_string();
    let socket = "/sync/io/?EIO=4&transport=websocket";
    let without_key = HANDSHAKE.replace("Sec-WebSocket-Key", "X-Key");
    let old = HANDSHAKE.replace("Version: 13", "Version: 8");
    let requests = [
        ("GET", "/api/ping", "Connection: upgrade\r\n", "", 200),
        ("GET", "/api/ping", HANDSHAKE, "", 200),
        ("GET", "/api/ping", H2C, "", 200),
        (
            "POST",
            "/api/ping",
            "Connection: keep-alive, Upgrade\r\nUpgrade: TLS/1.0, websocket\r\n",
            "{}",
            200,
        ),
        ("POST", "/api/login", H2C, &login, 200),
        ("POST", "/api/login", HANDSHAKE, &login, 200),
        ("POST", "/api/login", "Upgrade: websocket\r\n", &login, 200),
        ("POST", "/api/login", "Connection: upgrade\r\n", &login, 200),
        ("GET", "/api/nothing", HANDSHAKE, "", 404),
        ("PUT", "/sync/io/", HANDSHAKE, "", 405),
        ("GET", socket, &without_key, "", 400),
        ("GET", socket, &old, "", 400),
        ("GET", socket, "Upgrade: websocket\r\n", "", 400),
        (
            "GET",
            "/sync/io/?EIO=4&transport=polling",
            HANDSHAKE,
            "",
            200,
        ),
    ];
    let mut connection = raw_http::Connection::open(app.http.address()).await;
    for (method, path, headers, body, status) in requests {
        connection
            .send(request(method, path, headers, body).as_bytes())
            .await;
        let (head, _) = connection.response(EVENTUALLY_TIMEOUT).await;
        assert!(
            head.starts_with(&format!("http/1.1 {status} ")),
            "{method} {path} {headers}: {head}"
        );
        assert!(
            !head.contains("\nconnection:") && !head.contains("\nupgrade:"),
            "{head}"
        );
    }
    // All requests at once, pipelined.
    let all: String = requests
        .iter()
        .map(|(method, path, headers, body, _)| request(method, path, headers, body))
        .collect();
    connection.send(all.as_bytes()).await;
    for (method, path, _, _, status) in requests {
        let (head, _) = connection.response(EVENTUALLY_TIMEOUT).await;
        assert!(
            head.starts_with(&format!("http/1.1 {status} ")),
            "{method} {path}: {head}"
        );
    }
    // Afterwards the connection can still become a WebSocket.
    connection
        .send(
            request("GET", socket, HANDSHAKE, "")
                .replace("Content-Type: application/json\r\n", "")
                .as_bytes(),
        )
        .await;
    assert!(
        connection
            .until("\r\n\r\n", EVENTUALLY_TIMEOUT)
            .await
            .starts_with("HTTP/1.1 101 ")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn behind_nginx_that_always_offers_an_upgrade_nothing_is_lost() {
    let app = App::start(Backend::Sqlite).await;
    let ann = app.user("ann").await;
    let directives = "proxy_set_header Host $host; proxy_set_header Upgrade $http_upgrade;
        proxy_set_header Connection \"upgrade\";";
    let nginx = Nginx::start(app.http.address(), directives).await;
    let requests = (0..REQUESTS).map(|number| {
        let call: Call = match number % 5 {
            0 => nginx.http.get("/api/ping"),
            1 => nginx
                .http
                .post("/api/ping")
                .json(&json!({"padding": "x".repeat(number)})),
            2 => nginx
                .http
                .post("/api/ping")
                .json(&json!({}))
                .header("upgrade", "h2c"),
            3 => nginx.http.get("/api/init").bearer(&ann.token),
            _ => nginx
                .http
                .post("/api/users/get")
                .bearer(&ann.token)
                .json(&json!({"user": ann.gid})),
        };
        tokio::spawn(async move { call.send().await.status })
    });
    let statuses: Vec<u16> = stream::iter(requests)
        .buffer_unordered(AT_ONCE)
        .map(|status| status.expect("an answer"))
        .collect()
        .await;
    let lost = statuses
        .iter()
        .filter(|status| **status != 200)
        .collect::<Vec<_>>();
    assert!(
        lost.is_empty() && statuses.len() == REQUESTS,
        "{lost:?}\n{}",
        nginx.log()
    );
    // Sockets work through the proxy.
    WebSocket::connect(nginx.http.address(), &ann.token).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ambiguous_head_is_rejected() {
    let app = App::start(Backend::Sqlite).await;
    let good = "POST /api/ping HTTP/1.1\r\nHost: doorward\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}";
    let hidden = "GET /hidden HTTP/1.1\r\nHost: doorward\r\n\r\n";
    let bad = [
        // A bare LF in every position.
        "\nGET /api/ping HTTP/1.1\r\nHost: doorward\r\n\r\n".to_owned(),
        "GET /api/ping HTTP/1.1\nHost: doorward\r\n\r\n".to_owned(),
        "GET /api/ping HTTP/1.1\r\nHost: doorward\n\r\n".to_owned(),
        "GET /api/ping HTTP/1.1\r\nHost: doorward\r\n\n".to_owned(),
        "GET /api/ping HTTP/1.1\nHost: doorward\n\n".to_owned(),
        "GET /api/ping HTTP/1.1\r\nX: y\nHost: doorward\r\n\r\n".to_owned(),
        "GET /api/ping HTTP/1.1\r\nHost: doorward\r\nX: y\nContent-Length: 44\r\n\r\n".to_owned() + hidden,
        // A bare CR, and a folded header line.
        "GET /api/ping HTTP/1.1\rHost: doorward\r\n\r\n".to_owned(),
        "GET /api/ping HTTP/1.1\r\nHost: doorward\r\nX: y\rZ: 1\r\n\r\n".to_owned(),
        "GET /api/ping HTTP/1.1\r\nHost: doorward\r\nX: y\r\r\n\r\n".to_owned(),
        "GET /api/ping HTTP/1.1\r\nHost: doorward\r\nX: y\r\n z\r\n\r\n".to_owned(),
        "GET /api/ping HTTP/1.1\r\nHost: doorward\r\nX: y\r\n\tz\r\n\r\n".to_owned(),
        "GET /api/ping HTTP/1.1\r\n Host: doorward\r\n\r\n".to_owned(),
        // Invalid header names, lengths and transfer codings.
        "GET /api/ping HTTP/1.1\r\nHost: doorward\r\nContent-Length : 2\r\n\r\n{}".to_owned(),
        "POST /api/ping HTTP/1.1\r\nHost: doorward\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}".to_owned(),
        "POST /api/ping HTTP/1.1\r\nHost: doorward\r\nContent-Length: +2\r\n\r\n{}".to_owned(),
        "POST /api/ping HTTP/1.1\r\nHost: doorward\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
            .to_owned(),
        "POST /api/ping HTTP/1.1\r\nHost: doorward\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n".to_owned(),
        "POST /api/ping HTTP/1.1\r\nHost: doorward\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
            .to_owned(),
        "POST /api/ping HTTP/1.0\r\nHost: doorward\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n".to_owned(),
    ];
    for bad in bad {
        for (before, count) in [("", 0), (good, 1)] {
            let mut connection = raw_http::Connection::open(app.http.address()).await;
            connection
                .send(format!("{before}{bad}{hidden}").as_bytes())
                .await;
            let answers = connection.rest(EVENTUALLY_TIMEOUT).await;
            let statuses: Vec<&str> = answers
                .split("HTTP/1.1 ")
                .skip(1)
                .map(|answer| &answer[..3])
                .collect();
            assert_eq!(
                statuses,
                [&["200"; 1][..count], &["400"]].concat(),
                "{bad:?}: {answers}"
            );
        }
    }
    // Bare LFs between the chunks of a body and after them.
    let head = "POST /api/ping HTTP/1.1\r\nHost: doorward\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n";
    for body in [
        "2\n{}\r\n0\r\n\r\n",
        "2\r\n{}\n0\r\n\r\n",
        "2\r\n{}\r\n0\n\r\n",
        "2\r\n{}\r\n0\r\nX: y\n\r\n\r\n",
        "2\r\n{}\r\n0\r\n\n",
    ] {
        let mut connection = raw_http::Connection::open(app.http.address()).await;
        connection
            .send(format!("{head}{body}{hidden}").as_bytes())
            .await;
        let answers = connection.rest(EVENTUALLY_TIMEOUT).await;
        assert!(
            !answers.contains(" 200 ") && !answers.contains(" 404 "),
            "{body:?}: {answers}"
        );
    }
    // Line feeds within a body are allowed.
    let mut connection = raw_http::Connection::open(app.http.address()).await;
    connection
        .send(format!("{head}4\r\n{{\n\n}}\r\n0\r\nX: y\r\n\r\n{good}").as_bytes())
        .await;
    for _ in 0..2 {
        assert!(
            connection
                .response(EVENTUALLY_TIMEOUT)
                .await
                .0
                .starts_with("http/1.1 200 ")
        );
    }
}
