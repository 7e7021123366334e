//! Tests that only mails to an address reveal whether it has an account, and that guesses of
//! usernames and codes are limited.

use doorward_tests::{Backend, SmtpServer, on_both_databases};
use serde_json::json;

use crate::accounts::steps::{AccountClient, app, count, newcomer, refused, validation_code, with};

on_both_databases![
    signup_request_for_a_known_address_is_answered_like_any_other,
    codes_of_a_known_address_never_work,
    username_checks_are_counted_in_every_call,
    resets_of_unknown_usernames_are_counted,
    wrong_codes_are_counted_by_network,
    name_lookup_limit_does_not_block_login,
    forged_forwarded_addresses_do_not_evade_the_limit,
];

/// Settings with a low threshold of the throttle and waits longer than a test.
const STRICT_LIMITS: [(&str, &str); 3] = [
    ("DOORWARD_LOGIN_FAILURES", "1"),
    ("DOORWARD_LOGIN_BACKOFF", "10m"),
    ("DOORWARD_LOGIN_BACKOFF_MAX", "1h"),
];
/// Number of anonymous calls that are allowed: ten times the threshold.
const ALLOWED_CALLS: usize = 10;
/// Number of wrong codes that are allowed: forty times the threshold.
const ALLOWED_WRONG_CODES: usize = 40;

async fn signup_request_for_a_known_address_is_answered_like_any_other(backend: Backend) {
    let smtp = SmtpServer::start().await;
    let app = app(backend, &smtp, &[]).await;
    let caller = AccountClient {
        http: &app.http,
        smtp: &smtp,
    };
    app.user("ann").await;
    let body = |email: &str| with(&newcomer("new"), "email", email);
    let known = caller
        .post("/api/signup_request", &body("Ann@Example.org"))
        .await;
    let unknown = caller
        .post("/api/signup_request", &body("ben@example.org"))
        .await;

    assert_eq!(known.status, unknown.status);
    assert_eq!(known.body.len(), unknown.body.len());
    let headers = |answer: &doorward_tests::Response| {
        let mut names: Vec<String> = answer.headers.keys().map(ToString::to_string).collect();
        names.sort();
        let length = answer.header("content-length").map(str::to_owned);
        (names, length)
    };
    assert_eq!(headers(&known), headers(&unknown));
    for answer in [&known, &unknown] {
        let (result, data) = answer.success();
        assert_eq!(
            (result.as_object().map(serde_json::Map::len), data),
            (Some(1), json!({}))
        );
        assert_eq!(validation_code(answer).len(), 32);
    }
    let mail = smtp.mail_to("Ann@Example.org").await;
    assert!(mail.text.contains("ann"), "{}", mail.text);
    assert_eq!(smtp.mail_to("ben@example.org").await.code().len(), 6);
    assert_eq!(smtp.mails().len(), 2);
    assert_eq!(count(&app.installation.databases.auth, "codes", "1 = 1"), 2);
    // The mail to the address with an account has no code.
    let is_code = |line: &&str| {
        line.len() == 6
            && line
                .bytes()
                .all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit())
    };
    assert_eq!(mail.text.lines().find(is_code), None, "{}", mail.text);
}

async fn codes_of_a_known_address_never_work(backend: Backend) {
    let smtp = SmtpServer::start().await;
    let app = app(backend, &smtp, &[]).await;
    let caller = AccountClient {
        http: &app.http,
        smtp: &smtp,
    };
    app.user("ann").await;
    let known = with(&newcomer("new"), "email", "ann@example.org");
    let begun = caller.post("/api/signup_request", &known).await;
    let body = with(&known, "validation_code", validation_code(&begun));
    let foreign = caller.begin_signup(&newcomer("ben")).await["verification_code"].clone();
    for code in [
        foreign,
        json!(""),
        json!(" "),
        json!("AAAAAA"),
        json!("null"),
    ] {
        refused(&caller.signup(&with(&body, "verification_code", code)).await);
    }
    assert_eq!(
        count(&app.installation.databases.directory, "users", "1 = 1"),
        1
    );
}

// The calls reveal that a username is taken. They share one limit, so a client cannot switch to the
// other call.
async fn username_checks_are_counted_in_every_call(backend: Backend) {
    for path in ["/api/username", "/api/signup_request"] {
        let smtp = SmtpServer::start().await;
        let app = app(backend, &smtp, &STRICT_LIMITS).await;
        let caller = AccountClient {
            http: &app.http,
            smtp: &smtp,
        };
        app.user("ann").await;
        for _ in 0..ALLOWED_CALLS {
            let answer = caller.post(path, &newcomer("ann")).await;
            if path == "/api/username" {
                assert_eq!(
                    answer.success().0,
                    json!({"username": "ann", "available": false})
                );
            } else {
                answer.assert_validation_error("username", "unavailable");
            }
        }
        let weak = with(&newcomer("ben"), "password", "password");
        for other in ["/api/username", "/api/signup_request"] {
            for body in [newcomer("ann"), newcomer("ben"), weak.clone()] {
                caller.post(other, &body).await.assert_throttled();
            }
        }
        assert_eq!(smtp.mails().len(), 0);
    }
}

async fn resets_of_unknown_usernames_are_counted(backend: Backend) {
    let smtp = SmtpServer::start().await;
    let app = app(backend, &smtp, &STRICT_LIMITS).await;
    let caller = AccountClient {
        http: &app.http,
        smtp: &smtp,
    };
    app.user("ann").await;
    app.installation.create_user("ben").await;
    let ask = async |name: &str| {
        caller
            .post(
                "/api/reset_password_request",
                &json!({"username_or_email": name}),
            )
            .await
    };
    ask("ben").await.success();
    for number in 1..ALLOWED_CALLS {
        ask(&format!("nobody-{number}"))
            .await
            .assert_unprocessable("user_not_found");
    }
    for name in ["ben", "nobody-1", "ben@example.org", "not a name", ""] {
        ask(name).await.assert_throttled();
    }
    // The user ann has logged in from this network, so it is a known network for her and the calls
    // of others do not count.
    ask("ann").await.success();
}

async fn wrong_codes_are_counted_by_network(backend: Backend) {
    let smtp = SmtpServer::start().await;
    let app = app(backend, &smtp, &STRICT_LIMITS).await;
    let caller = AccountClient {
        http: &app.http,
        smtp: &smtp,
    };
    app.user("ann").await;
    let guess = json!({"username": "ann", "new_password": "x", "validation_code": "x", "verification_code": "x"});
    for _ in 0..ALLOWED_WRONG_CODES {
        refused(&caller.reset(&guess).await);
    }
    caller.reset(&guess).await.assert_throttled();
    // The codes of a signup share the limit, and throttled calls write no audit records.
    let signup = with(
        &with(&newcomer("new"), "validation_code", "x"),
        "verification_code",
        "x",
    );
    for _ in 0..5 {
        caller.signup(&signup).await.assert_throttled();
    }
    assert_eq!(
        count(
            &app.installation.databases.auth,
            "audit",
            "action = 'code_refused'"
        ),
        ALLOWED_WRONG_CODES
    );
}

async fn name_lookup_limit_does_not_block_login(backend: Backend) {
    let smtp = SmtpServer::start().await;
    let app = app(backend, &smtp, &STRICT_LIMITS).await;
    let caller = AccountClient {
        http: &app.http,
        smtp: &smtp,
    };
    let ann = app.user("ann").await;
    for _ in 0..ALLOWED_CALLS {
        assert_eq!(
            caller.post("/api/username", &newcomer("ann")).await.status,
            200
        );
    }
    caller
        .post("/api/username", &newcomer("ann"))
        .await
        .assert_throttled();
    assert_eq!(
        app.http.login("ann", doorward_tests::PASSWORD).await.status,
        200
    );
    assert_eq!(ann.init().await.status, 200);
    // The count of failed logins is separate: it starts at zero.
    app.http
        .login("ann", "a wrong password")
        .await
        .assert_unknown_user();
    app.http
        .login("ann", "a wrong password")
        .await
        .assert_throttled();
}

/// Regression test for trusted headers (allauth 65.14, oauth2-proxy CVE-2026-40575).
async fn forged_forwarded_addresses_do_not_evade_the_limit(backend: Backend) {
    let smtp = SmtpServer::start().await;
    let app = app(backend, &smtp, &STRICT_LIMITS).await;
    for turn in 0..ALLOWED_CALLS + 3 {
        let call = app.http.post("/api/username").json(&newcomer("ann"));
        let call = call.header("x-forwarded-for", &format!("203.0.113.{turn}"));
        let answer = call
            .header("forwarded", &format!("for=203.0.113.{turn}"))
            .send()
            .await;
        assert_eq!(
            answer.status,
            if turn < ALLOWED_CALLS { 200 } else { 429 },
            "{turn}: {answer:?}"
        );
    }
}
