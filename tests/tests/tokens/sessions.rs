//! Tests that a session is renewed while it is used, up to its maximum lifetime, and ends with a
//! logout at every gateway.

use std::time::{Duration, Instant};

use doorward_tests::{
    App, Backend, Http, PASSWORD, Response, Services, eventually, on_both_databases,
    services::Role::{Auth, Gateway},
};
use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::tokens::verify::{now, part};

on_both_databases![
    any_authorized_call_renews_a_token_that_is_due,
    token_is_not_renewed_before_it_is_due,
    many_calls_at_once_with_one_token_are_one_renewal,
    active_session_lasts_until_the_maximum,
    logout_ends_this_login_and_no_other,
    logout_revokes_concurrently_renewed_tokens,
    answer_to_a_logout_has_no_token,
    logout_everywhere_ends_every_login_of_the_user,
    logout_that_is_rejected_ends_nothing,
    api_user_may_log_out,
    logout_reaches_every_gateway_within_a_second,
    logout_survives_a_restart_of_auth,
    gateway_accepts_tokens_for_ten_seconds_without_auth,
];

/// Setting with which every authenticated call renews its token.
const ALWAYS_DUE: (&str, &str) = ("DOORWARD_TOKEN_RENEW_AFTER", "0s");
const RENEWALS: &str =
    r#"doorward_grpc_request_duration_seconds_count{method="doorward.auth.v1.Auth/RenewToken"}"#;
const SECOND: Duration = Duration::from_secs(1);
/// Gid of a project or user that does not exist.
const UNKNOWN_GID: &str = "0f8fad5b-d9cb-469f-a165-70867728950e";

async fn post(http: &Http, path: &str, token: &str, body: &Value) -> Response {
    http.post(path).bearer(token).json(body).send().await
}

/// Sends an authenticated call that only the directory rejects, with a 403 while the token is
/// valid.
async fn forbidden(http: &Http, token: &str) -> Response {
    let answer = post(
        http,
        &format!("/api/p/{UNKNOWN_GID}/apikeys/get"),
        token,
        &json!({"user": UNKNOWN_GID}),
    )
    .await;
    assert!([403, 401].contains(&answer.status), "{answer:?}");
    answer
}

async fn logout(http: &Http, token: &str, body: &Value) -> Response {
    post(http, "/api/account/logout", token, body).await
}

/// Logs out and asserts the response.
async fn logged_out(http: &Http, token: &str, body: &Value) {
    let answer = logout(http, token, body).await;
    assert_eq!(answer.success(), (json!({}), json!({})));
}

/// Returns the token of a response that has one.
fn renewed(answer: &Response) -> Option<String> {
    let token = answer.header("authorization")?;
    assert!(
        token.split('.').count() == 3 && !token.contains(' '),
        "{token} is not a bare token"
    );
    Some(token.to_owned())
}

/// Waits until the tokens are rejected, and asserts that they stay rejected.
async fn assert_denied(http: &Http, tokens: &[&str]) {
    denied_within(Duration::from_secs(10), http, tokens).await;
}

async fn denied_within(time: Duration, http: &Http, tokens: &[&str]) {
    let deadline = Instant::now() + time;
    for token in tokens {
        let left = deadline.saturating_duration_since(Instant::now());
        let rejected = async || Some(http.init(token).await).filter(|answer| answer.status != 200);
        eventually("401", left, rejected)
            .await
            .assert_unauthenticated();
        http.init(token).await.assert_unauthenticated();
    }
}

/// Creates a project of ann with an API user, and returns the gids of both and the API key.
async fn api_user(app: &App) -> (String, String, String) {
    let project = app.installation.create_project("ann", "Herbarium").await;
    let words = [
        "apikey",
        "create",
        "--project",
        &project,
        "--name",
        "Export",
    ];
    let created = app
        .installation
        .cli(&words, "")
        .await
        .assert_success()
        .json();
    let text = |name: &str| created[name].as_str().expect("a text").to_owned();
    (project, text("user"), text("apikey"))
}

async fn any_authorized_call_renews_a_token_that_is_due(backend: Backend) {
    let app = App::with_settings(backend, &[ALWAYS_DUE]).await;
    let ann = app.user("ann").await;
    let (project, user, _) = api_user(&app).await;
    let old = part(&ann.token, 1);
    let get = format!("/api/p/{project}/apikeys/get");
    let logout = "/api/account/logout";
    let calls = [
        (200, get.as_str(), json!({"user": user})),
        (422, &get, json!({"user": ann.gid})),
        (400, &get, json!({})),
        (400, &get, json!([])),
        (400, logout, json!({"everywhere": "yes"})),
        (
            403,
            &format!("/api/p/{UNKNOWN_GID}/apikeys/get"),
            json!({"user": user}),
        ),
    ];
    for (status, path, body) in calls {
        let answer = post(&app.http, path, &ann.token, &body).await;
        assert_eq!(answer.status, status, "{path} {body}: {answer:?}");
        let token =
            renewed(&answer).unwrap_or_else(|| panic!("{path} {body} has no token: {answer:?}"));
        let new = part(&token, 1);
        for claim in ["iss", "aud", "sub", "kind", "sid", "auth_time"] {
            assert_eq!(new[claim], old[claim], "{claim}");
        }
        assert_ne!(new["jti"], old["jti"]);
        assert_eq!(app.http.init(&token).await.status, 200);
    }
    for path in ["/api/ping", "/api/languages/get", "/api/no-such-call"] {
        assert_eq!(
            renewed(&post(&app.http, path, &ann.token, &json!({})).await),
            None,
            "{path}"
        );
    }
}

async fn token_is_not_renewed_before_it_is_due(backend: Backend) {
    let app = App::start(backend).await;
    let ann = app.user("ann").await;
    let (project, user, _) = api_user(&app).await;
    let get = format!("/api/p/{project}/apikeys/get");
    for body in [json!({"user": user}), json!({"user": ann.gid}), json!({})] {
        assert_eq!(
            renewed(&post(&app.http, &get, &ann.token, &body).await),
            None,
            "{body}"
        );
    }

    let app = App::with_settings(backend, &[("DOORWARD_TOKEN_RENEW_AFTER", "2s")]).await;
    let ann = app.user("ann").await;
    let issued_at = part(&ann.token, 1)["iat"].as_i64().expect("iat");
    let token = eventually("a renewal", Duration::from_secs(15), async || {
        let token = renewed(&forbidden(&app.http, &ann.token).await);
        assert!(
            token.is_none() || now() >= issued_at + 2,
            "renewed too early"
        );
        token
    })
    .await;
    assert!(part(&token, 1)["iat"].as_i64().expect("iat") >= issued_at + 2);
}

async fn many_calls_at_once_with_one_token_are_one_renewal(backend: Backend) {
    let app = App::with_settings(backend, &[ALWAYS_DUE]).await;
    let ann = app.user("ann").await;
    let before = app.ops.metric(RENEWALS).await;
    let started = Instant::now();
    let answers = join_all((0..20).map(|_| forbidden(&app.http, &ann.token))).await;
    // Calls share a renewal for half a second, so a slow machine needs more than one.
    let most = 1.0 + (started.elapsed().as_secs_f64() / 0.5).floor();
    // No call waits longer than that for a renewal, so some responses can lack a token.
    let mut tokens: Vec<String> = answers.iter().filter_map(renewed).collect();
    assert!(!tokens.is_empty(), "no response has a token");
    tokens.sort_unstable();
    tokens.dedup();
    let renewals = app.ops.metric(RENEWALS).await - before;
    assert!(
        (0.5..=most + 0.5).contains(&renewals),
        "{renewals} renewals"
    );
    assert!(
        tokens.len() as f64 <= renewals + 0.5,
        "{} tokens of {renewals}",
        tokens.len()
    );
    for token in tokens {
        assert_eq!(app.http.init(&token).await.status, 200);
    }
}

async fn active_session_lasts_until_the_maximum(backend: Backend) {
    let settings = [
        ("DOORWARD_TOKEN_LIFETIME", "5s"),
        ("DOORWARD_TOKEN_RENEW_AFTER", "1s"),
        ("DOORWARD_TOKEN_MAX_SESSION", "8s"),
    ];
    let app = App::with_settings(backend, &settings).await;
    let ann = app.user("ann").await;
    let first = part(&ann.token, 1);
    let session_end = first["auth_time"].as_i64().expect("auth_time") + 8;
    let mut token = ann.token.clone();
    let mut renewals = 0;
    let rejected = eventually(
        "the end of the session",
        Duration::from_secs(20),
        async || {
            let answer = forbidden(&app.http, &token).await;
            if answer.status == 401 {
                return Some(answer);
            }
            if let Some(new) = renewed(&answer) {
                let claims = part(&new, 1);
                let time = |name: &str| {
                    claims[name]
                        .as_i64()
                        .unwrap_or_else(|| panic!("{name} in {claims}"))
                };
                assert_eq!(time("exp"), (time("iat") + 5).min(session_end));
                assert_eq!(
                    (&claims["sid"], &claims["auth_time"]),
                    (&first["sid"], &first["auth_time"])
                );
                token = new;
                renewals += 1;
            }
            None
        },
    )
    .await;
    rejected.assert_unauthenticated();
    assert!(
        now() >= session_end,
        "rejected {} s too early",
        session_end - now()
    );
    assert!(renewals >= 3, "{renewals} renewals");
    app.http.init(&token).await.assert_unauthenticated();
    assert_eq!(app.http.login("ann", PASSWORD).await.status, 200);
}

async fn logout_ends_this_login_and_no_other(backend: Backend) {
    let app = App::start(backend).await;
    let ann = app.user("ann").await;
    let ben = app.user("ben").await;
    let other = app.http.login("ann", PASSWORD).await.token();
    let second = ann.init().await.token();
    let third = app.http.init(&second).await.token();

    logged_out(&app.http, &second, &json!({})).await;

    assert_denied(&app.http, &[&second, &ann.token, &third]).await;
    logout(&app.http, &third, &json!({}))
        .await
        .assert_unauthenticated();
    for token in [
        &other,
        &ben.token,
        &app.http.login("ann", PASSWORD).await.token(),
    ] {
        assert_eq!(app.http.init(token).await.status, 200);
    }
    // `everywhere: false` is the default, and unknown members are ignored.
    logged_out(
        &app.http,
        &other,
        &json!({"everywhere": false, "unknown": 1}),
    )
    .await;
    assert_denied(&app.http, &[&other]).await;
    assert_eq!(ben.init().await.status, 200);
}

async fn logout_revokes_concurrently_renewed_tokens(backend: Backend) {
    let app = App::with_settings(backend, &[ALWAYS_DUE]).await;
    let ann = app.user("ann").await;
    for _ in 0..5 {
        let token = app.http.login("ann", PASSWORD).await.token();
        let calls = join_all((0..10).map(|_| async { forbidden(&app.http, &token).await }));
        let body = json!({});
        let (answers, answer) = tokio::join!(calls, logout(&app.http, &token, &body));
        assert_eq!(answer.status, 200, "{answer:?}");
        let tokens: Vec<String> = answers.iter().filter_map(renewed).collect();
        let tokens: Vec<&str> = tokens
            .iter()
            .map(String::as_str)
            .chain([token.as_str()])
            .collect();
        assert_denied(&app.http, &tokens).await;
    }
    assert_eq!(ann.init().await.status, 200);
}

// A shared renewal from just before is revoked by the logout, so it must not be returned.
async fn answer_to_a_logout_has_no_token(backend: Backend) {
    let app = App::with_settings(backend, &[ALWAYS_DUE]).await;
    let ann = app.user("ann").await;
    for body in [json!({}), json!({"everywhere": true})] {
        let token = app.http.login("ann", PASSWORD).await.token();
        assert!(renewed(&forbidden(&app.http, &token).await).is_some());
        let answer = logout(&app.http, &token, &body).await;
        assert_eq!((answer.status, renewed(&answer)), (200, None), "{body}");
    }
    assert_denied(&app.http, &[&ann.token]).await;
}

async fn logout_everywhere_ends_every_login_of_the_user(backend: Backend) {
    let app = App::start(backend).await;
    let ann = app.user("ann").await;
    let ben = app.user("ben").await;
    let other = app.http.login("ann", PASSWORD).await.token();
    let renewed = app.http.init(&other).await.token();

    logged_out(&app.http, &ann.token, &json!({"everywhere": true})).await;

    // A login in the same second as the logout is not revoked.
    let new = app.http.login("ann", PASSWORD).await.token();
    assert_denied(&app.http, &[&ann.token, &other, &renewed]).await;
    for token in [&new, &ben.token] {
        assert_eq!(app.http.init(token).await.status, 200);
    }
}

async fn logout_that_is_rejected_ends_nothing(backend: Backend) {
    let app = App::start(backend).await;
    let ann = app.user("ann").await;
    for wrong in [
        json!("true"),
        json!(1),
        json!(0),
        json!(null),
        json!([]),
        json!({}),
    ] {
        let answer = logout(&app.http, &ann.token, &json!({"everywhere": wrong})).await;
        answer.assert_error(
            400,
            "Bad request",
            &json!({"Invalid parameter": "everywhere"}),
        );
    }
    logout(&app.http, &ann.token, &json!([true]))
        .await
        .assert_invalid_body();
    app.http
        .post("/api/account/logout")
        .json(&json!({}))
        .send()
        .await
        .assert_unauthenticated();
    logout(&app.http, "garbage", &json!({"everywhere": true}))
        .await
        .assert_unauthenticated();
    let answer = app
        .http
        .get("/api/account/logout")
        .bearer(&ann.token)
        .send()
        .await;
    answer.assert_error(405, "Method not allowed", &json!({}));
    assert_eq!(answer.header("allow"), Some("POST"));
    assert_eq!(ann.init().await.status, 200);
}

async fn api_user_may_log_out(backend: Backend) {
    let app = App::start(backend).await;
    let ann = app.user("ann").await;
    let (project, _, api_key) = api_user(&app).await;
    let auth = async || {
        let call = app.http.post(&format!("/api/p/{project}/auth"));
        call.json(&json!({"api_key": api_key})).send().await.token()
    };
    let first = auth().await;
    let second = auth().await;
    let third = auth().await;
    logged_out(&app.http, &first, &json!({})).await;
    assert_denied(&app.http, &[&first]).await;
    assert_eq!(app.http.init(&second).await.status, 200);
    logged_out(&app.http, &second, &json!({"everywhere": true})).await;
    assert_denied(&app.http, &[&second, &third]).await;
    for token in [&auth().await, &ann.token] {
        assert_eq!(app.http.init(token).await.status, 200);
    }
}

async fn logout_reaches_every_gateway_within_a_second(backend: Backend) {
    let split = Services::start(backend).await;
    split.installation.create_user("ann").await;
    let gateway = split.start_replica(Gateway, &[]).await;
    let gateways = [split.http.clone(), gateway.http()];
    for (here, there) in [(&gateways[0], &gateways[1]), (&gateways[1], &gateways[0])] {
        for body in [json!({}), json!({"everywhere": true})] {
            let token = here.login("ann", PASSWORD).await.token();
            let renewed = there.init(&token).await.token();
            logged_out(here, &token, &body).await;
            denied_within(SECOND, there, &[&token, &renewed]).await;
            denied_within(SECOND, here, &[&token, &renewed]).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn logout_at_one_auth_is_known_to_the_gateway_of_another_within_a_second() {
    let split = Services::start(Backend::Postgres).await;
    split.installation.create_user("ann").await;
    let (_second_auth, second_gateway) = split.start_second_auth_and_gateway().await;
    let gateways = [split.http.clone(), second_gateway.http()];
    for (here, there) in [(&gateways[0], &gateways[1]), (&gateways[1], &gateways[0])] {
        let [token, other] = [
            here.login("ann", PASSWORD).await.token(),
            there.login("ann", PASSWORD).await.token(),
        ];
        assert_eq!(
            there.init(&token).await.status,
            200,
            "issued by the other auth"
        );
        logged_out(here, &token, &json!({})).await;
        denied_within(SECOND, there, &[&token]).await;
        assert_eq!(there.init(&other).await.status, 200);
        logged_out(there, &other, &json!({"everywhere": true})).await;
        denied_within(SECOND, here, &[&other]).await;
    }
}

async fn logout_survives_a_restart_of_auth(backend: Backend) {
    let mut split = Services::start(backend).await;
    for username in ["ann", "ben", "cas"] {
        split.installation.create_user(username).await;
    }
    let mut tokens = Vec::new();
    for username in ["ann", "ben", "cas"] {
        tokens.push(split.http.login(username, PASSWORD).await.token());
    }
    logged_out(&split.http, &tokens[0], &json!({})).await;
    logged_out(&split.http, &tokens[1], &json!({"everywhere": true})).await;
    // The gateway restarts, too, because it has the revocations in memory.
    for role in [Auth, Gateway] {
        split.kill(role);
    }
    for role in [Auth, Gateway] {
        split.start_service(role);
        split.ready(role).await;
    }
    for token in &tokens[..2] {
        split.http.init(token).await.assert_unauthenticated();
        forbidden(&split.http, token).await.assert_unauthenticated();
    }
    assert_eq!(split.http.init(&tokens[2]).await.status, 200);
}

async fn gateway_accepts_tokens_for_ten_seconds_without_auth(backend: Backend) {
    let mut split = Services::with(backend, &[ALWAYS_DUE]).await;
    split.installation.create_user("ann").await;
    let token = split.http.login("ann", PASSWORD).await.token();
    let http = split.http.clone();
    let ask = async || {
        post(
            &http,
            &format!("/api/p/{UNKNOWN_GID}/apikeys/get"),
            &token,
            &json!({"user": UNKNOWN_GID}),
        )
        .await
    };
    assert_eq!(ask().await.status, 403);
    let ops = split.ops(Gateway);
    split.kill(Auth);
    let killed_at = Instant::now();
    let mut not_renewed = 0;
    let answer = eventually("503", Duration::from_secs(20), async || {
        let answer = ask().await;
        not_renewed += usize::from(renewed(&answer).is_none());
        Some(answer).filter(|answer| answer.status != 403)
    })
    .await;
    assert!(
        not_renewed > 1,
        "calls must succeed even if their tokens cannot be renewed"
    );
    answer.assert_unavailable();
    // The last heartbeat was at most a second before the kill, or slightly more on a busy machine.
    assert!(
        killed_at.elapsed() > Duration::from_secs(6),
        "after {:?}",
        killed_at.elapsed()
    );
    let health = ops.get("/health/ready").send().await;
    assert_eq!(health.status, 503);
    let checks = health.json()["checks"].clone();
    assert_eq!(
        checks["trust"],
        json!("no recent trust data from auth"),
        "{checks}"
    );
    assert_ne!(checks["auth"], json!("ok"), "{checks}");
    assert_eq!(checks["directory"], json!("ok"), "{checks}");
    split.http.init("garbage").await.assert_unavailable();

    split.start_service(Auth);
    split.ready(Auth).await;
    split.ready(Gateway).await;
    assert_eq!(forbidden(&split.http, &token).await.status, 403);
}
