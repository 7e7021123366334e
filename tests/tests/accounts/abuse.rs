//! SECURITY-CASES: stale tokens, minting keys, errors of others. Who calls is said by the token alone, and an ended one says
//! nothing.

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

const WITH_A_TOKEN: [&str; 5] = [
    "update",
    "update_email_request",
    "update_email",
    "delete",
    "logout",
];

/// Everything that a call could take, and every way to name somebody.
fn everything(gid: &str) -> Value {
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
    for call in WITH_A_TOKEN {
        let path = format!("/api/account/{call}");
        app.http
            .post(&path)
            .json(&everything(&ann.gid))
            .send()
            .await
            .assert_unauthenticated();
        let query = format!("{path}?token={}&user={}", ann.token, ann.gid);
        app.http
            .post(&query)
            .json(&everything(&ann.gid))
            .send()
            .await
            .assert_unauthenticated();
        let with_header = app
            .http
            .post(&path)
            .json(&everything(&ann.gid))
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

/// SECURITY-CASES: mass assignment (ZITADEL CVE-2026-27946).
async fn ids_in_the_body_never_change_other_users(backend: Backend) {
    let smtp = SmtpServer::start().await;
    let app = app(backend, &smtp, &[]).await;
    let (ann, ben) = (app.user("ann").await, app.user("ben").await);
    let (_, before) = ann.init().await.success();
    let (result, data) = ben
        .call("/api/account/update", &everything(&ann.gid))
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
        .json(&everything(&ann.gid));
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
    let doors = [split.http.clone(), gateway.http()];
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

    // A reset, a new password, and the end of the account: each ends all tokens before it.
    let reset = caller.begin_reset("ann").await;
    let done = caller.reset(&reset).await.token();
    all_ended(&doors, &mut peers, &stale).await;
    stale.push(done.clone());
    let changed = caller
        .post_as(&done, "/api/account/update", &json!({"password": PASSWORD}))
        .await
        .token();
    all_ended(&doors, &mut peers, &stale).await;
    assert_eq!(doors[1].init(&changed).await.status, 200);
    stale.push(changed.clone());
    let second = doors[1].login("ann", PASSWORD).await.token();
    stale.push(second);
    caller
        .post_as(&changed, "/api/account/delete", &json!({"confirm": true}))
        .await
        .success();
    all_ended(&doors, &mut peers, &stale).await;
}

async fn all_ended(doors: &[Http], peers: &mut GrpcClients, tokens: &[String]) {
    let deadline = Instant::now() + Duration::from_secs(1);
    for token in tokens {
        for http in doors {
            let left = deadline.saturating_duration_since(Instant::now());
            let refused =
                async || Some(http.init(token).await).filter(|answer| answer.status != 200);
            eventually("401", left, refused)
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
            verified.expect_err("an ended token").code(),
            tonic::Code::Unauthenticated
        );
    }
}

/// SECURITY-CASES: errors of others (Ory 26.2.5).
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
        let own = format!("mark-{number}-krill");
        let (path, body) = match number % 8 {
            0 => (
                "/api/signup_request",
                json!({"username": own, "password": own, "email": "nowhere"}),
            ),
            1 => (
                "/api/signup",
                with(
                    &with(&newcomer(&own), "validation_code", own.as_str()),
                    "verification_code",
                    "x",
                ),
            ),
            2 => (
                "/api/reset_password_request",
                json!({"username_or_email": own}),
            ),
            3 => (
                "/api/reset_password",
                json!({"username": "ann", "new_password": own, "validation_code": own, "verification_code": own}),
            ),
            4 => (
                "/api/account/update",
                json!({"username": format!("{own} with spaces"), "timezone": own}),
            ),
            5 => (
                "/api/account/update_email",
                json!({"email": format!("{own}@example.org"), "validation_code": own, "verification_code": own}),
            ),
            6 => (
                "/api/account/update",
                json!({"password": own.repeat(40), "current_password": PASSWORD}),
            ),
            _ => ("/api/username", json!({"username": format!("{own}\u{0}")})),
        };
        let (http, id) = (app.http.clone(), format!("request-{number}-id"));
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
