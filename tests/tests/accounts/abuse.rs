//! Tests that only a valid token authenticates the caller of an account call, and that concurrent
//! callers do not receive each other's errors.

use std::time::{Duration, Instant};

use doorward_rpc::auth::v1::VerifyTokenRequest;
use doorward_tests::{
    Backend, Http, MANY_WRITES, PASSWORD, SmtpServer, eventually, on_both_databases, services::Role,
};
use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::{
    accounts::steps::{AccountClient, NEW_PASSWORD, app, newcomer, split, with},
    grpc::contract::{GrpcClients, with_service_token},
};

on_both_databases![
    ids_in_the_body_never_authenticate,
    ids_in_the_body_never_change_other_users,
    tokens_are_revoked_everywhere_within_a_second,
    concurrent_errors_do_not_leak_into_each_other,
];

/// Account calls that require a token.
const AUTHENTICATED_CALLS: [&str; 5] = [
    "update",
    "update_email_request",
    "update_email",
    "delete",
    "logout",
];

/// Returns a body with all parameters of account calls and all names under which a server could
/// accept a user's id.
fn body_with_all_fields(gid: &str) -> Value {
    json!({
        "user": gid, "user_gid": gid, "gid": gid, "id": gid, "sub": gid, "caller": gid, "user_id": gid, "username": "other",
        "old_username": "ann", "owner": gid, "member": gid, "status": "active", "roles": ["owner"], "avatar": "x.png",
        "email": "thief@example.org", "password": NEW_PASSWORD, "current_password": PASSWORD, "confirm": true,
        "everywhere": true, "validation_code": "x", "verification_code": "x", "name": "Changed", "token": "x",
        "JWT": "x", "signup_gid": gid, "build": 2,
    })
}

async fn ids_in_the_body_never_authenticate(backend: Backend) {
    let smtp = SmtpServer::start().await;
    let app = app(backend, &smtp, &[]).await;
    let ann = app.user("ann").await;
    let before = ann.init().await.success();
    for call in AUTHENTICATED_CALLS {
        let path = format!("/api/account/{call}");
        app.http
            .post(&path)
            .json(&body_with_all_fields(&ann.gid))
            .send()
            .await
            .assert_unauthenticated();
        let query = format!("{path}?token={}&user={}", ann.token, ann.gid);
        app.http
            .post(&query)
            .json(&body_with_all_fields(&ann.gid))
            .send()
            .await
            .assert_unauthenticated();
        let with_header = app
            .http
            .post(&path)
            .json(&body_with_all_fields(&ann.gid))
            .header("x-user", &ann.gid);
        with_header
            .header(
                "x-service-token",
                doorward_tests::installation::SERVICE_TOKEN,
            )
            .send()
            .await
            .assert_unauthenticated();
    }
    assert_eq!(ann.init().await.success(), before);
    assert_eq!(smtp.mails().len(), 0);
}

/// Regression test for mass assignment (ZITADEL CVE-2026-27946).
async fn ids_in_the_body_never_change_other_users(backend: Backend) {
    let smtp = SmtpServer::start().await;
    let app = app(backend, &smtp, &[]).await;
    let ann = app.user("ann").await;
    let ben = app.user("ben").await;
    let (_, before) = ann.init().await.success();
    let (result, data) = ben
        .call("/api/account/update", &body_with_all_fields(&ann.gid))
        .await
        .success();
    assert_eq!(result, json!({"user": ben.gid}));
    let entry = &data["cc.users"][&ben.gid];
    assert_eq!(
        (&entry["email"], &entry["avatar"]),
        (&json!("ben@example.org"), &json!(null))
    );
    assert_eq!(
        (&entry["name"], &entry["status"]),
        (&json!("Changed"), &json!("active"))
    );
    let token = app.http.login("other", NEW_PASSWORD).await.token();
    let delete = app
        .http
        .post("/api/account/delete")
        .bearer(&token)
        .json(&body_with_all_fields(&ann.gid));
    delete.send().await.success();
    assert_eq!(ann.init().await.success().1, before);
    app.http
        .login("other", NEW_PASSWORD)
        .await
        .assert_unknown_user();
}

async fn tokens_are_revoked_everywhere_within_a_second(backend: Backend) {
    let smtp = SmtpServer::start().await;
    let split = split(backend, &smtp, &[]).await;
    let gateway = split.start_replica(Role::Gateway, &[]).await;
    let gateways = [split.http.clone(), gateway.http()];
    let caller = AccountClient {
        http: &split.http,
        smtp: &smtp,
    };
    let mut peers = GrpcClients::connect(&split).await;
    let ann = split.user("ann").await;
    let mut stale = vec![
        ann.token.clone(),
        split.http.login("ann", PASSWORD).await.token(),
    ];

    // A reset, a change of the password and the deletion of the account each revoke all earlier
    // tokens.
    let reset = caller.begin_reset("ann").await;
    let after_reset = caller.reset(&reset).await.token();
    assert_all_rejected(&gateways, &mut peers, &stale).await;
    stale.push(after_reset.clone());
    let changed = caller
        .post_as(
            &after_reset,
            "/api/account/update",
            &json!({"password": PASSWORD}),
        )
        .await
        .token();
    assert_all_rejected(&gateways, &mut peers, &stale).await;
    assert_eq!(gateways[1].init(&changed).await.status, 200);
    stale.push(changed.clone());
    let second = gateways[1].login("ann", PASSWORD).await.token();
    stale.push(second);
    caller
        .post_as(&changed, "/api/account/delete", &json!({"confirm": true}))
        .await
        .success();
    assert_all_rejected(&gateways, &mut peers, &stale).await;
}

/// Asserts that all gateways and the RPC of auth reject these tokens within a second.
async fn assert_all_rejected(gateways: &[Http], peers: &mut GrpcClients, tokens: &[String]) {
    let deadline = Instant::now() + Duration::from_secs(1);
    for token in tokens {
        for http in gateways {
            let left = deadline.saturating_duration_since(Instant::now());
            let rejected =
                async || Some(http.init(token).await).filter(|answer| answer.status != 200);
            eventually("401", left, rejected)
                .await
                .assert_unauthenticated();
        }
        let verified = peers
            .auth
            .verify_token(with_service_token(VerifyTokenRequest {
                token: token.clone(),
            }))
            .await;
        assert_eq!(
            verified.expect_err("a revoked token").code(),
            tonic::Code::Unauthenticated
        );
    }
}

/// Regression test for errors that reach another caller (Ory 26.2.5). Each of 200 concurrent calls
/// has a unique mark in its parameters, and no response may contain any of them.
async fn concurrent_errors_do_not_leak_into_each_other(backend: Backend) {
    let smtp = SmtpServer::start().await;
    let app = app(
        backend,
        &smtp,
        &[("DOORWARD_HASH_QUEUE", "400"), MANY_WRITES],
    )
    .await;
    let ann = app.user("ann").await;
    let call = |number: usize| {
        let mark = format!("mark-{number}-krill");
        let (path, body) = match number % 8 {
            0 => (
                "/api/signup_request",
                json!({"username": mark, "password": mark, "email": "nowhere"}),
            ),
            1 => (
                "/api/signup",
                with(
                    &with(&newcomer(&mark), "validation_code", mark.as_str()),
                    "verification_code",
                    "x",
                ),
            ),
            2 => (
                "/api/reset_password_request",
                json!({"username_or_email": mark}),
            ),
            3 => (
                "/api/reset_password",
                json!({"username": "ann", "new_password": mark, "validation_code": mark, "verification_code": mark}),
            ),
            4 => (
                "/api/account/update",
                json!({"username": format!("{mark} with spaces"), "timezone": mark}),
            ),
            5 => (
                "/api/account/update_email",
                json!({"email": format!("{mark}@example.org"), "validation_code": mark, "verification_code": mark}),
            ),
            6 => (
                "/api/account/update",
                json!({"password": mark.repeat(40), "current_password": PASSWORD}),
            ),
            _ => ("/api/username", json!({"username": format!("{mark}\u{0}")})),
        };
        let http = app.http.clone();
        let id = format!("request-{number}-id");
        let token = ann.token.clone();
        let call = http
            .post(path)
            .bearer(&token)
            .json(&body)
            .header("x-request-id", &id);
        async move { (number, call.send_until_served().await) }
    };
    let answers = join_all((0..200).map(call)).await;
    for (number, answer) in &answers {
        assert!((400..500).contains(&answer.status), "{number}: {answer:?}");
        assert_eq!(
            answer.header("x-request-id"),
            Some(format!("request-{number}-id").as_str())
        );
        let text = answer.text();
        assert!(
            !text.contains("krill") && !text.contains(&ann.gid) && !text.contains("request-"),
            "{number}: {text}"
        );
    }
}
