//! Tests connections of the common Socket.IO clients: tokens, transports, renewal, logout and
//! shutdown.

use std::time::{Duration, Instant};

use doorward_tests::{App, Backend, Library, SocketClient, User};
use serde_json::{Value, json};

const TRANSPORTS: [&[&str]; 3] = [&["polling"], &["websocket"], &["polling", "websocket"]];

fn connect(app: &App, library: Library, transports: &[&str], auth: &Value) -> SocketClient {
    SocketClient::connect(
        library,
        &app.installation.variable("DOORWARD_LISTEN"),
        transports,
        auth,
    )
}

async fn connected(app: &App, library: Library, transports: &[&str], user: &User) -> SocketClient {
    let mut client = connect(app, library, transports, &json!({"JWT": user.token}));
    let said = client.next_event().await;
    assert_eq!(said[0], "connect", "{library:?} {transports:?}");
    client
}

async fn denied_and_disconnected(client: &mut SocketClient) {
    let said = client.next_event().await;
    assert_eq!(said, json!(["authorization", {"JWT": null}]));
    assert_eq!(client.next_message().await[0], "disconnect");
}

#[tokio::test]
async fn valid_token_connects_over_each_transport() {
    let app = App::start(Backend::Sqlite).await;
    let ann = app.user("ann").await;
    for library in Library::ALL {
        for transports in TRANSPORTS {
            connected(&app, library, transports, &ann).await;
        }
    }
    assert!(app.ops.metric("doorward_sockets_open").await >= 1.0);
}

#[tokio::test]
async fn polling_becomes_a_websocket() {
    let app = App::start(Backend::Sqlite).await;
    let ann = app.user("ann").await;
    let mut python = connect(
        &app,
        Library::Python,
        &["polling", "websocket"],
        &json!({"JWT": ann.token}),
    );
    assert_eq!(python.next_message().await, json!(["connect", "websocket"]));
    let mut script = connect(
        &app,
        Library::JavaScript,
        &["polling", "websocket"],
        &json!({"JWT": ann.token}),
    );
    let said = [script.next_message().await, script.next_message().await];
    assert!(said.contains(&json!(["upgrade", "websocket"])), "{said:?}");
    for client in [&mut python, &mut script] {
        assert_eq!(
            client.request(&json!(["init", {"cc_cursor": null}])).await["result"]["code"],
            400
        );
    }
}

#[tokio::test]
async fn bad_or_missing_token_is_rejected() {
    let app = App::start(Backend::Sqlite).await;
    let ann = app.user("ann").await;
    let longer = format!("{}.x", ann.token);
    for library in Library::ALL {
        for transports in [&["polling"][..], &["websocket"]] {
            for auth in [
                json!({"JWT": "x"}),
                json!({}),
                json!({"JWT": null}),
                json!({"JWT": 1}),
                json!({"JWT": longer}),
            ] {
                let mut client = connect(&app, library, transports, &auth);
                assert_eq!(
                    client.next_message().await,
                    json!(["connect_error", "Permission denied"]),
                    "{library:?} {auth}"
                );
            }
        }
    }
}

#[tokio::test]
async fn logout_disconnects_sockets_within_a_second() {
    let app = App::start(Backend::Sqlite).await;
    let mut clients = Vec::new();
    let mut users = Vec::new();
    for (number, library) in Library::IN_ORDER.into_iter().enumerate() {
        for (kind, transports) in TRANSPORTS.into_iter().enumerate() {
            let user = app.user(&format!("user{number}{kind}")).await;
            clients.push(connected(&app, library, transports, &user).await);
            users.push(user);
        }
    }
    for (user, client) in users.iter().zip(&mut clients) {
        user.call("/api/account/logout", &json!({})).await.success();
        let since = Instant::now();
        denied_and_disconnected(client).await;
        assert!(
            since.elapsed() < Duration::from_secs(1),
            "{:?}",
            since.elapsed()
        );
    }
}

#[tokio::test]
async fn token_that_is_due_is_renewed_and_the_new_one_works() {
    let app = App::with_settings(
        Backend::Sqlite,
        &[
            ("DOORWARD_TOKEN_LIFETIME", "10s"),
            ("DOORWARD_TOKEN_RENEW_AFTER", "2s"),
        ],
    )
    .await;
    let ann = app.user("ann").await;
    let mut client = connected(&app, Library::JavaScript, &["websocket"], &ann).await;
    let mut last = ann.token.clone();
    for _ in 0..2 {
        let said = client.next_message().await;
        let token = said[1]["JWT"].as_str().unwrap_or_else(|| panic!("{said}"));
        assert_eq!(
            (said[0].as_str(), token == last),
            (Some("authorization"), false)
        );
        assert_eq!(app.http.init(token).await.status, 200);
        token.clone_into(&mut last);
    }
    // A logout ends the login with all of its tokens, including the socket's current one.
    app.http
        .post("/api/account/logout")
        .bearer(&last)
        .json(&json!({}))
        .send()
        .await
        .success();
    denied_and_disconnected(&mut client).await;
}

#[tokio::test]
async fn shutdown_closes_sockets_immediately() {
    let mut app = App::start(Backend::Sqlite).await;
    let ann = app.user("ann").await;
    let mut clients = Vec::new();
    for library in Library::IN_ORDER {
        for transports in TRANSPORTS {
            clients.push(connected(&app, library, transports, &ann).await);
        }
    }
    app.process.terminate();
    app.process
        .wait_for_exit(Duration::from_secs(15))
        .await
        .assert_success();
    for client in &mut clients {
        assert_eq!(client.next_event().await[0], "disconnect");
    }
}
