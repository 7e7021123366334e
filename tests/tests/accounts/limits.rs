//! Tests that account calls cannot be used to fill a mailbox, guess a password or overload the
//! server with huge values.

use doorward_tests::{Backend, PASSWORD, SmtpServer, on_both_databases};
use serde_json::json;

use crate::accounts::steps::{AccountClient, NEW_PASSWORD, app, newcomer, with};

on_both_databases![
    mails_to_a_mailbox_are_limited_per_network,
    mails_to_a_mailbox_are_limited_for_all_networks,
    stolen_token_does_not_help_guessing_passwords,
    wrong_current_password_is_always_rejected,
    huge_values_are_rejected_and_cost_little,
];

/// Settings with a low threshold of the throttle and waits longer than a test.
const STRICT_LIMITS: [(&str, &str); 3] = [
    ("DOORWARD_LOGIN_FAILURES", "3"),
    ("DOORWARD_LOGIN_BACKOFF", "10m"),
    ("DOORWARD_LOGIN_BACKOFF_MAX", "1h"),
];
/// Number of mails to one mailbox that one network can cause: twice the threshold.
const MAILS: usize = 6;

async fn mails_to_a_mailbox_are_limited_per_network(backend: Backend) {
    let smtp = SmtpServer::start().await;
    let proxy = [("DOORWARD_TRUSTED_PROXIES", "127.0.0.0/8")];
    let app = app(backend, &smtp, &[&STRICT_LIMITS[..], &proxy].concat()).await;
    let ann = app.user("ann").await;
    // The requests differ in call, letter case and address within the network.
    let ask = async |turn: usize, email: &str, network: &str| {
        let call = if turn.is_multiple_of(3) {
            app.http
                .post("/api/account/update_email_request")
                .bearer(&ann.token)
                .json(&json!({"email": email}))
        } else {
            let body = with(&newcomer(&format!("new-{turn}")), "email", email);
            app.http.post("/api/signup_request").json(&body)
        };
        call.header("x-forwarded-for", &format!("{network}::{turn}"))
            .send()
            .await
    };
    for turn in 0..MAILS + 6 {
        let email = if turn.is_multiple_of(2) {
            "victim@example.org"
        } else {
            "Victim@EXAMPLE.org"
        };
        let answer = ask(turn, email, "2001:db8:1:1").await;
        if turn < MAILS {
            answer.success();
        } else {
            answer.assert_throttled();
        }
    }
    ask(1, "victim@example.org", "2001:db8:1:2").await.success();
    ask(1, "ben@example.org", "2001:db8:1:1").await.success();
    // A waiting mail is replaced by a newer one of its topic, so there can be fewer mails.
    smtp.mail_to("victim@example.org").await;
    assert!(smtp.count_to("victim@example.org") <= MAILS + 1);
}

// The mails that all networks together can cause are limited, too.
async fn mails_to_a_mailbox_are_limited_for_all_networks(backend: Backend) {
    let smtp = SmtpServer::start().await;
    let proxy = [
        ("DOORWARD_TRUSTED_PROXIES", "127.0.0.0/8"),
        ("DOORWARD_LOGIN_FAILURES", "1"),
    ];
    let app = app(backend, &smtp, &[&STRICT_LIMITS[1..], &proxy].concat()).await;
    let mut sent = 0;
    for network in 0..60 {
        let body = with(
            &newcomer(&format!("new-{network}")),
            "email",
            "victim@example.org",
        );
        let from = format!("198.51.100.{network}");
        let answer = app
            .http
            .post("/api/signup_request")
            .json(&body)
            .header("x-forwarded-for", &from)
            .send()
            .await;
        match answer.status {
            200 => sent += 1,
            _ => drop(answer.assert_throttled()),
        }
    }
    // The unknown networks share four mails. After that, networks with fewer than two mails share
    // another twenty.
    assert_eq!(sent, 24);
}

async fn stolen_token_does_not_help_guessing_passwords(backend: Backend) {
    let smtp = SmtpServer::start().await;
    let app = app(backend, &smtp, &STRICT_LIMITS).await;
    let caller = AccountClient {
        http: &app.http,
        smtp: &smtp,
    };
    let ann = app.user("ann").await;
    let update = async |current: &str| {
        let change = json!({"password": NEW_PASSWORD, "current_password": current});
        caller
            .post_as(&ann.token, "/api/account/update", &change)
            .await
    };
    // The two failures here and the failed login are counted together.
    for _ in 0..2 {
        update("a wrong password")
            .await
            .assert_validation_error("current_password", "incorrect");
    }
    app.http
        .login("ann", "a wrong password")
        .await
        .assert_unknown_user();
    update(PASSWORD).await.assert_throttled();
    app.http.login("ann", PASSWORD).await.assert_throttled();
    let renamed = json!({"name": "Ann", "current_password": PASSWORD});
    caller
        .post_as(&ann.token, "/api/account/update", &renamed)
        .await
        .assert_throttled();
    assert_eq!(ann.init().await.status, 200);
}

async fn wrong_current_password_is_always_rejected(backend: Backend) {
    let smtp = SmtpServer::start().await;
    let app = app(backend, &smtp, &[]).await;
    let caller = AccountClient {
        http: &app.http,
        smtp: &smtp,
    };
    let ann = app.user("ann").await;
    let update = async |current: &str| {
        let change = json!({"name": "Ann Other", "username": "other", "current_password": current});
        caller
            .post_as(&ann.token, "/api/account/update", &change)
            .await
    };
    for wrong in ["a wrong password", "", NEW_PASSWORD] {
        update(wrong)
            .await
            .assert_validation_error("current_password", "incorrect");
    }
    app.http
        .login("other", PASSWORD)
        .await
        .assert_unknown_user();
    let (_, data) = update(PASSWORD).await.success();
    assert_eq!(data["cc.users"][&ann.gid]["username"], json!("other"));
    // The call set no password, so it revoked no token.
    assert_eq!(ann.init().await.status, 200);
    let alone = json!({"current_password": PASSWORD});
    let rejected = caller
        .post_as(&ann.token, "/api/account/update", &alone)
        .await;
    rejected.assert_bad_parameter("Missing parameter", "username");
}

async fn huge_values_are_rejected_and_cost_little(backend: Backend) {
    let smtp = SmtpServer::start().await;
    let app = app(backend, &smtp, &[]).await;
    let caller = AccountClient {
        http: &app.http,
        smtp: &smtp,
    };
    let ann = app.user("ann").await;
    let begun = caller.begin_signup(&newcomer("new")).await;
    let reset = caller.begin_reset("ann").await;
    let change = caller
        .begin_email_change(&ann.token, "new-ann@example.org")
        .await;
    let started = std::time::Instant::now();
    let mut calls = 0;
    for huge in [
        "x".repeat(1_000_000),
        "\u{fb01}\u{301}".repeat(200_000),
        "@.".repeat(500_000),
    ] {
        for (path, body) in [
            ("/api/username", &newcomer("new")),
            ("/api/signup_request", &newcomer("other")),
            ("/api/signup", &begun),
            (
                "/api/reset_password_request",
                &json!({"username_or_email": "ann"}),
            ),
            ("/api/reset_password", &reset),
            (
                "/api/account/update",
                &json!({"username": "other", "name": "x", "password": "x", "current_password": "x"}),
            ),
            (
                "/api/account/update_email_request",
                &json!({"email": "x@example.org"}),
            ),
            ("/api/account/update_email", &change),
        ] {
            // The calls with wrong codes must stay below the maximum number of attempts.
            for name in body
                .as_object()
                .expect("an object")
                .keys()
                .filter(|name| huge.starts_with('x') || *name == "username")
            {
                let answer = caller
                    .post_as(&ann.token, path, &with(body, name, huge.as_str()))
                    .await;
                let is_ignored = path == "/api/username" && name != "username";
                assert!(
                    is_ignored || answer.status == 422,
                    "{path} {name}: {}",
                    answer.status
                );
                assert!(answer.body.len() < 2000, "{path} {name}");
                calls += 1;
            }
        }
    }
    let elapsed = started.elapsed();
    assert!(
        elapsed < std::time::Duration::from_millis(300) * calls,
        "{elapsed:?} for {calls}"
    );
    assert_eq!(ann.init().await.status, 200);
    let languages = "de,".repeat(30_000);
    let call = app
        .http
        .post("/api/signup_request")
        .json(&newcomer("ben"))
        .header("accept-language", &languages);
    call.send().await.success();
}
