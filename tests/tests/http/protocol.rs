//! Tests HTTP errors and malformed requests: every response has the envelope, and every connection
//! ends.

use std::time::Duration;

use doorward_tests::{App, Backend, PASSWORD, on_both_databases, raw_http};
use http::Method;
use serde_json::json;

on_both_databases![
    unknown_path_is_404_in_the_envelope,
    wrong_method_is_405_with_allow,
    well_formed_request_id_is_kept_and_others_replaced,
    every_error_of_many_at_once_is_its_own,
];

async fn unknown_path_is_404_in_the_envelope(backend: Backend) {
    let app = App::start(backend).await;
    let paths = [
        "/",
        "/api",
        "/api/",
        "/api/nothing",
        "/api/login/",
        "/api/Login",
        "/api/login/x",
        "/login",
        "/api/../api/nothing",
        "/api/p/x/nothing",
        "/api/%00",
        "/api/%ff",
        "/index.html",
        "/.env",
        "/metrics",
        "/health/ready",
    ];
    for path in paths {
        for call in [app.http.get(path), app.http.post(path).json(&json!({}))] {
            call.send().await.assert_error(404, "Not found", &json!({}));
        }
    }
}

async fn wrong_method_is_405_with_allow(backend: Backend) {
    let app = App::start(backend).await;
    let calls = [
        (Method::GET, "/api/login", &["POST"] as &[&str]),
        (Method::HEAD, "/sync/get", &["POST"]),
        (Method::POST, "/api/docs", &["GET", "HEAD"]),
        (Method::PUT, "/sync/io", &["GET", "HEAD", "POST"]),
        (Method::PUT, "/api/login", &["POST"]),
        (Method::DELETE, "/api/login", &["POST"]),
        (Method::PATCH, "/api/init", &["GET", "HEAD", "POST"]),
        (Method::DELETE, "/api/ping", &["GET", "HEAD", "POST"]),
        (Method::PUT, "/api/languages/get", &["GET", "HEAD", "POST"]),
    ];
    for (method, path, allowed) in calls {
        let answer = app.http.call(method, path).send().await;
        assert_eq!(answer.status, 405);
        if !answer.body.is_empty() {
            answer.assert_error(405, "Method not allowed", &json!({}));
        }
        let allow = answer
            .header("allow")
            .unwrap_or_else(|| panic!("no Allow: {answer:?}"));
        let listed: Vec<&str> = allow.split(',').map(str::trim).collect();
        assert!(
            allowed.iter().all(|method| listed.contains(method)),
            "{path}: {allow}"
        );
        assert!(
            allowed.contains(&"GET") || !listed.contains(&"GET"),
            "{path}: {allow}"
        );
    }
}

async fn well_formed_request_id_is_kept_and_others_replaced(backend: Backend) {
    let app = App::start(backend).await;
    let id_of = async |sent: &str| {
        let answer = app
            .http
            .get("/api/ping")
            .header("x-request-id", sent)
            .send()
            .await;
        answer.header("x-request-id").expect("an id").to_owned()
    };
    for sane in ["abc-123", "0f8fad5b-d9cb-469f-a165-70867728950e", "A_b.9"] {
        assert_eq!(id_of(sane).await, sane);
    }
    let long = "x".repeat(5_000);
    for insane in [
        "",
        " ",
        "a b",
        "<script>",
        "a\"b",
        "{\"a\":1}",
        "\u{e9}",
        &long,
    ] {
        let id = id_of(insane).await;
        assert!(
            id != insane && !id.is_empty() && id.len() < 200,
            "{insane:?} became {id:?}"
        );
    }
    let first = app.http.get("/api/ping").send().await;
    let second = app.http.get("/api/nothing").send().await;
    assert_ne!(first.header("x-request-id"), second.header("x-request-id"));
}

/// Concurrent requests must not receive the errors of others (as in Ory 26.2.5).
async fn every_error_of_many_at_once_is_its_own(backend: Backend) {
    let app = App::start(backend).await;
    let requests = (0..200).map(|number| {
        let id = format!("request-{number}");
        let own = format!("marker-{number}-x");
        let http = app.http.clone();
        let call = match number % 5 {
            0 => http.login_call(&own, "a wrong password"),
            1 => http.post("/api/login").json(&json!({"username": own})),
            2 => http
                .post("/api/login")
                .json(&json!({"username": 1, "password": own})),
            3 => http.get("/api/init").bearer(&own),
            _ => http.get(&format!("/api/{own}")),
        };
        tokio::spawn(async move {
            (
                number,
                id.clone(),
                call.header("x-request-id", &id).send().await,
            )
        })
    });
    let requests: Vec<_> = requests.collect();
    for request in requests {
        let (number, id, answer) = request.await.expect("an answer");
        match number % 5 {
            0 => answer.assert_unknown_user(),
            1 => answer.assert_error(
                400,
                "Bad request",
                &json!({"Missing parameter": "password"}),
            ),
            2 => answer.assert_error(
                400,
                "Bad request",
                &json!({"Invalid parameter": "username"}),
            ),
            3 => answer.assert_unauthenticated(),
            _ => answer.assert_error(404, "Not found", &json!({})),
        }
        assert_eq!(answer.header("x-request-id"), Some(id.as_str()));
        assert!(!format!("{answer:?}").contains("marker-"), "{answer:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn stalled_client_is_disconnected() {
    let app = App::start(Backend::Sqlite).await;
    app.user("ann").await;
    let (head, body) = raw_http::post(
        "/api/login",
        &json!({"username": "ann", "password": PASSWORD}).to_string(),
    );
    let half_a_head = &head[..head.len() / 2];
    let head_and_half_a_body = format!("{head}{}", &body[..body.len() / 2]);
    let mut connections = Vec::new();
    for sent in [half_a_head, &head_and_half_a_body] {
        let mut connection = raw_http::Connection::open(app.http.address()).await;
        connection.send(sent.as_bytes()).await;
        connections.push(tokio::spawn(async move {
            connection.rest(Duration::from_secs(30)).await
        }));
    }
    for connection in connections {
        let answer = connection.await.expect("no panic");
        assert!(
            answer.is_empty() || answer.starts_with("HTTP/1.1 4"),
            "{answer}"
        );
    }
    assert_eq!(app.http.login("ann", PASSWORD).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn endless_heads_are_rejected() {
    let app = App::start(Backend::Sqlite).await;
    let many: String = (0..500)
        .map(|number| format!("x-header-{number}: x\r\n"))
        .collect();
    let large = format!("x-large: {}\r\n", "x".repeat(2 * 1024 * 1024));
    for headers in [many, large] {
        let mut connection = raw_http::Connection::open(app.http.address()).await;
        let request = format!(
            "GET /api/ping HTTP/1.1\r\nHost: doorward\r\nConnection: close\r\n{headers}\r\n"
        );
        connection.send(request.as_bytes()).await;
        let answer = connection.rest(Duration::from_secs(10)).await;
        assert!(
            answer.is_empty() || answer.starts_with("HTTP/1.1 4"),
            "{}",
            &answer[..answer.len().min(200)]
        );
    }
    assert_eq!(app.http.status("/api/ping").await, Some(200));
}

#[tokio::test(flavor = "multi_thread")]
async fn non_http_input_is_harmless() {
    let app = App::start(Backend::Sqlite).await;
    let garbage: [&[u8]; 6] = [
        b"\r\n\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET /api/ping\r\n\r\n",
        b"GET /api/ping HTTP/9.9\r\nHost: x\r\n\r\n",
        b"POST /api/login HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n{}",
        b"POST /api/login HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\nZZ\r\n",
    ];
    let ends = garbage.map(|bytes| {
        let address = app.http.address().to_owned();
        tokio::spawn(async move {
            let mut connection = raw_http::Connection::open(&address).await;
            connection.send(bytes).await;
            connection.rest(Duration::from_secs(30)).await
        })
    });
    for end in ends {
        let answer = end.await.expect("no panic");
        assert!(
            answer.is_empty() || answer.starts_with("HTTP/1.1 4"),
            "{answer}"
        );
    }
    assert_eq!(app.http.status("/api/ping").await, Some(200));
}
