//! Tests that `GET` and `POST /api/init` return the same data as a login and a new token, and
//! reject tokens of users who are deactivated or deleted.

use std::time::Duration;

use doorward_tests::{
    App, Backend, PASSWORD, eventually, on_both_databases,
    snapshots::{assert_json_eq, redact},
};
use serde_json::json;

on_both_databases![
    init_equals_login_with_a_new_token,
    init_shows_changes,
    init_requires_a_valid_token,
    deactivated_user_is_rejected_within_a_second_permanently,
    repeated_deactivations_in_one_second_revoke_earlier_tokens,
    deleted_user_is_rejected_within_a_second_even_if_the_username_is_reused,
];

async fn init_equals_login_with_a_new_token(backend: Backend) {
    let app = App::start(backend).await;
    let ann = app.user("ann").await;
    let ben = app.user("ben").await;
    let project = app.installation.create_project("ann", "Herbarium").await;
    app.installation.add_member(&project, "ben").await;
    let names = [
        (ann.gid.as_str(), "1-ann"),
        (&ben.gid, "2-ben"),
        (&project, "1-herbarium"),
    ];
    let login = app.http.login("ann", PASSWORD).await;
    let mut token = login.token();
    let calls = [
        app.http.get("/api/init"),
        app.http.post("/api/init"),
        app.http.post("/api/init").json(&json!({})),
        app.http
            .post("/api/init")
            .json(&json!({"omit_extended_definitions": true})),
    ];
    for call in calls {
        let answer = call.bearer(&token).send().await;
        answer.success();
        assert_json_eq(
            &redact(&answer.json(), &names),
            &redact(&login.json(), &names),
        );
        assert_eq!(
            answer.json()["result"]["cc.cursor"],
            login.json()["result"]["cc.cursor"]
        );
        assert_ne!(answer.token(), token, "the response must have a new token");
        token = answer.token();
    }
    // A renewal does not revoke the earlier token.
    assert_eq!(app.http.init(&login.token()).await.status, 200);
}

async fn init_shows_changes(backend: Backend) {
    let app = App::start(backend).await;
    let ann = app.user("ann").await;
    let (before, _) = ann.init().await.success();
    let project = app.installation.create_project("ann", "Herbarium").await;
    let (after, data) = ann.init().await.success();
    assert_eq!(after["user_projects"], json!({&project: ["owner"]}));
    assert_eq!(data["cc.projects"][&project]["name"], json!("Herbarium"));
    assert!(
        after["cc.cursor"].as_i64() > before["cc.cursor"].as_i64(),
        "{before} {after}"
    );
}

async fn init_requires_a_valid_token(backend: Backend) {
    let app = App::start(backend).await;
    let ann = app.user("ann").await;
    let token = &ann.token;
    let init = || app.http.get("/api/init");
    let credentials = |value: &str| init().header("authorization", value);
    let rejected = [
        init(),
        app.http
            .post("/api/init")
            .json(&json!({"token": token, "JWT": token})),
        app.http.get(&format!(
            "/api/init?token={token}&access_token={token}&JWT={token}"
        )),
        init().header("cookie", &format!("token={token}; JWT={token}")),
        credentials(""),
        credentials("Bearer"),
        credentials("Bearer "),
        credentials(token),
        credentials(&format!("Basic {token}")),
        credentials(&format!("Bearer{token}")),
        credentials(&format!("Bearer {token} {token}")),
        credentials(&format!("Bearer {token}, Bearer {token}")),
        credentials("Bearer garbage"),
        credentials("Bearer a.b.c"),
        credentials("Bearer ..."),
        credentials("Bearer \u{e9}\u{e9}"),
        credentials(&format!("Bearer {}", "x".repeat(100 * 1024))),
        credentials(&format!("Bearer {token}")).bearer(token),
        init().bearer("garbage").bearer(token),
        init().header("x-authorization", &format!("Bearer {token}")),
    ];
    for (number, call) in rejected.into_iter().enumerate() {
        let answer = call.send().await;
        assert_eq!(answer.status, 401, "number {number}");
        answer.assert_unauthenticated();
    }
    for scheme in ["Bearer", "bearer", "BEARER", "bEaReR"] {
        assert_eq!(
            credentials(&format!("{scheme} {token}"))
                .send()
                .await
                .status,
            200,
            "{scheme}"
        );
    }
}

async fn deactivated_user_is_rejected_within_a_second_permanently(backend: Backend) {
    let app = App::start(backend).await;
    let ann = app.user("ann").await;
    let ben = app.user("ben").await;
    app.installation.change_user("deactivate", "ann").await;
    ann.assert_denied_within_a_second().await;
    app.http.login("ann", PASSWORD).await.assert_unknown_user();
    assert_eq!(ben.init().await.status, 200);

    app.installation.change_user("activate", "ann").await;
    ann.assert_denied_within_a_second().await;
    let login = app.http.login("ann", PASSWORD).await;
    assert_eq!(app.http.init(&login.token()).await.status, 200);
    ann.init().await.assert_unauthenticated();
}

// The `iat` of a token has whole seconds, but revocations must still be ordered within a second.
async fn repeated_deactivations_in_one_second_revoke_earlier_tokens(backend: Backend) {
    let app = App::start(backend).await;
    app.installation.create_user("ann").await;
    for round in 1..=3 {
        let token = app.http.login("ann", PASSWORD).await.token();
        assert_eq!(app.http.init(&token).await.status, 200, "round {round}");
        app.installation.change_user("deactivate", "ann").await;
        app.installation.change_user("activate", "ann").await;
        let rejected = async || (app.http.init(&token).await.status == 401).then_some(());
        eventually(
            &format!("401 in round {round}"),
            Duration::from_secs(10),
            rejected,
        )
        .await;
    }
}

async fn deleted_user_is_rejected_within_a_second_even_if_the_username_is_reused(backend: Backend) {
    let app = App::start(backend).await;
    let ann = app.user("ann").await;
    app.installation.change_user("delete", "ann").await;
    ann.assert_denied_within_a_second().await;
    app.http.login("ann", PASSWORD).await.assert_unknown_user();

    let other = app.user("ann").await;
    assert_ne!(other.gid, ann.gid);
    ann.init().await.assert_unauthenticated();
    assert_eq!(other.init().await.status, 200);
}
