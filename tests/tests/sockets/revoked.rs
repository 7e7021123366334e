//! Tests sockets whose token was revoked: they are notified and disconnected, and receive no later
//! event.

use std::time::{Duration, Instant};

use doorward_tests::{
    ApiUser, App, Backend, PASSWORD, User, WebSocket, eventually, on_both_databases,
    websocket::cursors,
};
use serde_json::json;

on_both_databases![
    revoked_user_is_disconnected_without_further_events,
    api_user_with_revoked_key_is_disconnected,
    thousand_concurrent_inits_are_answered_or_throttled,
    answered_client_can_init_again,
];

/// Existing Socket.IO clients close the connection themselves after they were disconnected; the
/// server must also close it if they do not.
#[tokio::test]
async fn kept_connection_is_closed_after_its_socket() {
    let app = App::start(Backend::Sqlite).await;
    let ann = app.user("ann").await;
    let ben = app.user("ben").await;
    let mut logged_out = WebSocket::connect(app.http.address(), &ben.token).await;
    let mut gone = WebSocket::connect(app.http.address(), &ann.token).await;
    let mut back = WebSocket::connect(app.http.address(), &ann.token).await;
    ben.call("/api/account/logout", &json!({})).await.success();
    assert_eq!(
        logged_out.says().await,
        Some(json!(["authorization", {"JWT": null}]))
    );
    assert_eq!(logged_out.says().await, Some(json!(["disconnect"])));
    gone.leave().await;
    back.leave().await;
    eventually("no sockets", Duration::from_secs(20), async || {
        (app.ops.metric("doorward_sockets_open").await < 1.0).then_some(())
    })
    .await;
    back.join(&ann.token).await;
    for mut socket in [logged_out, gone] {
        assert_eq!(socket.says().await, None);
    }
    assert_eq!(back.ask(&json!(["init", {}])).await["success"], true);
}

/// The client does not wait between leaving and joining, so the server handles both at once.
#[tokio::test]
async fn client_can_rejoin_immediately_over_the_same_connection() {
    let app = App::start(Backend::Sqlite).await;
    let ann = app.user("ann").await;
    let mut socket = WebSocket::connect(app.http.address(), &ann.token).await;
    for _ in 0..300 {
        socket.leave().await;
        socket.join(&ann.token).await;
        assert_eq!(socket.ask(&json!(["init", {}])).await["success"], true);
    }
    assert_eq!(app.ops.metric("doorward_sockets_open").await, 1.0);
}

/// A socket of a user whose token will be revoked, and the project that it follows.
struct RevokedSocket {
    socket: WebSocket,
    token: String,
    project: String,
}

impl RevokedSocket {
    /// Connects a socket that follows both feeds from the current cursor.
    async fn new(app: &App, token: &str, project: &str) -> Self {
        let mut socket = WebSocket::connect(app.http.address(), token).await;
        let cursors = app
            .http
            .post("/sync/cursors")
            .bearer(token)
            .json(&json!({"project": project}))
            .send()
            .await;
        let now = cursors.success().0["cc.cursor"].clone();
        let asked = json!({"cc_cursor": now, "project": project, "cursor": now});
        assert_eq!(
            socket.ask(&json!(["init", asked])).await["result"]["sync"],
            json!([])
        );
        Self {
            socket,
            token: token.to_owned(),
            project: project.to_owned(),
        }
    }

    /// Checks that the socket is disconnected after a revocation at `since`. From the moment at
    /// which a call with the token is rejected, no later row must be delivered.
    async fn ends(mut self, what: &str, app: &App, ann: &User, since: Instant) {
        app.http.denied_soon(&self.token).await;
        let last = ann.call("/sync/cursors", &json!({})).await.success().0["cc.cursor"]
            .as_i64()
            .expect("a cursor");
        let renamed = json!({"project": self.project, "name": format!("After {what}")});
        ann.call("/api/projects/update", &renamed).await.success();
        let mut said = self.socket.says().await.expect("an authorization event");
        while said[0] == "sync" {
            let rows = said[1].as_array().expect("a list");
            assert!(
                rows.iter()
                    .all(|row| row["cursor"].as_i64().expect("a cursor") <= last),
                "{what}: {said}"
            );
            said = self.socket.says().await.expect("an authorization event");
        }
        assert_eq!(said, json!(["authorization", {"JWT": null}]), "{what}");
        assert_eq!(
            self.socket.says().await,
            Some(json!(["disconnect"])),
            "{what}"
        );
        assert!(
            since.elapsed().as_secs() < 20,
            "{what}: {:?}",
            since.elapsed()
        );
        // On the open connection that is left, the server ignores requests and sends nothing.
        self.socket.emit(&json!(["init", {"cc_cursor": 0}])).await;
        self.socket.is_silent().await;
    }
}

async fn revoked_user_is_disconnected_without_further_events(backend: Backend) {
    let app = App::start(backend).await;
    let ann = app.user("ann").await;
    let project = app.installation.create_project("ann", "Herbarium").await;
    for what in [
        "deactivated",
        "deleted",
        "password",
        "everywhere",
        "elsewhere",
        "passwd",
    ] {
        let user = app.user(what).await;
        app.installation.add_member(&project, what).await;
        let doomed = RevokedSocket::new(&app, &user.token, &project).await;
        let (path, body) = match what {
            "deactivated" => {
                app.installation.change_user("deactivate", what).await;
                ("", json!({}))
            }
            "passwd" => {
                let words = ["user", "set-password", what, "--password-stdin"];
                app.installation
                    .cli(&words, "another battery staple 7")
                    .await
                    .assert_success();
                ("", json!({}))
            }
            "deleted" => ("/api/account/delete", json!({"confirm": true})),
            "password" => (
                "/api/account/update",
                json!({"password": "another battery staple 7"}),
            ),
            "everywhere" | "elsewhere" => ("/api/account/logout", json!({"everywhere": true})),
            other => panic!("{other}"),
        };
        if what == "elsewhere" {
            let other = app.http.login(what, PASSWORD).await.token();
            app.http
                .post(path)
                .bearer(&other)
                .json(&body)
                .send()
                .await
                .success();
        } else if !path.is_empty() {
            user.call(path, &body).await.success();
        }
        doomed.ends(what, &app, &ann, Instant::now()).await;
    }
}

async fn api_user_with_revoked_key_is_disconnected(backend: Backend) {
    let app = App::start(backend).await;
    let ann = app.user("ann").await;
    let project = app.installation.create_project("ann", "Herbarium").await;
    for what in ["deactivate", "rotate", "delete"] {
        let robot: ApiUser = ann.create_api_user(&project, what).await;
        let doomed = RevokedSocket::new(&app, &robot.auth().await.token(), &project).await;
        ann.api_keys(&project, what, &json!({"user": robot.gid}))
            .await
            .success();
        doomed.ends(what, &app, &ann, Instant::now()).await;
    }
}

async fn answered_client_can_init_again(backend: Backend) {
    let app = App::start(backend).await;
    let ann = app.user("ann").await;
    let from = ann.init().await.success().0["cc.cursor"]
        .as_i64()
        .expect("a cursor");
    let mut socket = WebSocket::connect(app.http.address(), &ann.token).await;
    for _ in 0..300 {
        assert_eq!(
            socket.ask(&json!(["init", {"cc_cursor": from}])).await["success"],
            true
        );
    }
    ann.call("/api/account/update", &json!({"name": "Anna"}))
        .await
        .success();
    assert_eq!(cursors(&socket.rows(1).await), [from + 1]);
    // Each init replaces the one before, so the row is delivered only once.
    socket.is_silent().await;
}

async fn thousand_concurrent_inits_are_answered_or_throttled(backend: Backend) {
    let app = App::start(backend).await;
    let ann = app.user("ann").await;
    let from = ann.init().await.success().0["cc.cursor"].clone();
    let mut socket = WebSocket::connect(app.http.address(), &ann.token).await;
    for _ in 0..1000 {
        socket.emit(&json!(["init", {"cc_cursor": from}])).await;
    }
    let throttled = json!({"code": 429, "message": "Too many requests", "info": {}});
    let mut is_answered = false;
    for answers in 0..1000 {
        let said = socket.says().await.expect("an answer");
        if said == json!(["disconnect"]) {
            // More answers than the queue of a socket holds end the connection; the queued ones
            // must have been sent.
            assert!(answers >= 32, "{answers}");
            socket = WebSocket::connect(app.http.address(), &ann.token).await;
            is_answered = true;
            break;
        }
        if said[2]["success"] == true {
            is_answered = true;
        } else {
            assert_eq!(said[2]["result"], throttled, "{said}");
        }
    }
    assert!(is_answered);
    // Only the last init is still followed, so each row is delivered once.
    assert_eq!(
        socket.ask(&json!(["init", {"cc_cursor": from}])).await["success"],
        true
    );
    for number in 0..3 {
        ann.call(
            "/api/account/update",
            &json!({"name": format!("Ann {number}")}),
        )
        .await
        .success();
    }
    assert_eq!(socket.rows(3).await.len(), 3);
}
