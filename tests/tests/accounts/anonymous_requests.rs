//! Tests that calls without a token are limited, so that usernames cannot be enumerated and
//! mailboxes cannot be filled.

use doorward_tests::{
    Backend, MailApp, PASSWORD, Response, mail_app::with_field, on_both_databases,
};
use serde_json::{Value, json};

on_both_databases![
    username_checks_are_limited,
    mails_to_a_mailbox_are_limited_per_network,
    authenticated_code_requests_count_for_the_mailbox,
];

/// Settings with ten anonymous calls per address and waits longer than a test.
const STRICT_LIMITS: [(&str, &str); 4] = [
    ("DOORWARD_LOGIN_FAILURES", "1"),
    ("DOORWARD_LOGIN_BACKOFF", "10m"),
    ("DOORWARD_LOGIN_BACKOFF_MAX", "1h"),
    // The tests connect from this network, so their `X-Forwarded-For` is trusted.
    ("DOORWARD_TRUSTED_PROXIES", "127.0.0.0/8"),
];

async fn ask(app: &MailApp, from: &str, path: &str, body: &Value) -> Response {
    app.http
        .post(path)
        .header("x-forwarded-for", from)
        .json(body)
        .send()
        .await
}

async fn username_checks_are_limited(backend: Backend) {
    let app = MailApp::with(backend, &STRICT_LIMITS).await;
    app.installation.create_user("ann").await;
    let signup = json!({"username": "ann", "password": PASSWORD, "email": "new@example.org"});
    let reset = json!({"username": "nobody", "new_password": PASSWORD, "validation_code": "x", "verification_code": "x"});
    let calls = [
        ("203.0.113.1", "/api/username", json!({"username": "ann"})),
        ("203.0.113.2", "/api/signup_request", signup),
        (
            "203.0.113.3",
            "/api/reset_password_request",
            json!({"username_or_email": "nobody"}),
        ),
        ("203.0.113.4", "/api/reset_password", reset),
    ];
    for (from, path, body) in &calls {
        let mut answered = 0;
        while ask(&app, from, path, body).await.status != 429 {
            answered += 1;
            assert!(answered < 50, "{path} is not limited");
        }
        // On a slow machine, one or two calls decay meanwhile.
        assert!((10..20).contains(&answered), "{path}: {answered}");
        ask(&app, from, path, body).await.assert_throttled();
        // Other networks are not affected.
        assert_ne!(
            ask(
                &app,
                "203.0.113.9",
                "/api/username",
                &json!({"username": "ann"})
            )
            .await
            .status,
            429
        );
    }
}

async fn mails_to_a_mailbox_are_limited_per_network(backend: Backend) {
    let app = MailApp::with(backend, &STRICT_LIMITS).await;
    app.installation.create_user("ann").await;
    let signup = json!({"username": "anna", "password": PASSWORD, "email": "ann@example.org"});
    let calls = [
        ("/api/signup_request", signup.clone()),
        (
            "/api/reset_password_request",
            json!({"username_or_email": "ann"}),
        ),
    ];
    for (path, body) in &calls {
        assert_eq!(
            ask(&app, "203.0.113.1", path, body).await.status,
            200,
            "{path}"
        );
        app.smtp.mail_to("ann@example.org").await;
    }
    let by_address = json!({"username_or_email": "ANN@example.org"});
    for (path, body) in calls
        .iter()
        .chain(&[("/api/reset_password_request", by_address)])
    {
        ask(&app, "203.0.113.1", path, body)
            .await
            .assert_throttled();
    }
    let other = with_field(&signup, "email", "ben@example.org");
    assert_eq!(
        ask(&app, "203.0.113.1", "/api/signup_request", &other)
            .await
            .status,
        200
    );
    app.smtp.mail_to("ben@example.org").await;
    // Another network has its own count.
    assert_eq!(
        ask(&app, "203.0.113.2", "/api/signup_request", &signup)
            .await
            .status,
        200
    );
    app.smtp.mail_to("ann@example.org").await;
    assert_eq!(app.smtp.mails().len(), 4);
}

async fn authenticated_code_requests_count_for_the_mailbox(backend: Backend) {
    let app = MailApp::with(backend, &STRICT_LIMITS).await;
    let ann = app.user("ann").await;
    let body = json!({"email": "victim@example.org"});
    let path = "/api/account/update_email_request";
    for _ in 0..2 {
        ann.call(path, &body).await.success();
        app.smtp.mail_to("victim@example.org").await;
    }
    ann.call(path, &body).await.assert_throttled();
    ann.call(path, &json!({"email": "ann@new.example"}))
        .await
        .success();
}
