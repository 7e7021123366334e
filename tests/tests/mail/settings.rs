//! Tests accounts without a mail server, with mails that are only logged, and with a mail server
//! that starts later.

use std::time::Duration;

use doorward_tests::{
    App, Backend, Installation, MailApp, PASSWORD, SmtpServer, eventually,
    mail_app::{mail_settings, validation_code, with_codes},
    on_both_databases, ports,
    smtp::Options,
};
use serde_json::json;

on_both_databases![
    without_a_mail_server_the_calls_that_need_one_are_unavailable_and_no_others,
    mails_may_go_to_the_log,
    mail_waits_for_the_mail_server,
    mail_server_is_greeted_by_the_name_of_the_app_or_of_the_setting,
];

const NEW: &str = "another battery staple 7";

async fn without_a_mail_server_the_calls_that_need_one_are_unavailable_and_no_others(
    backend: Backend,
) {
    let app = App::start(backend).await;
    let ann = app.user("ann").await;
    let signup = json!({"username": "ben", "password": PASSWORD, "email": "ben@example.org"});
    app.http
        .post_anonymous("/api/signup_request", &signup)
        .await
        .assert_unavailable();
    let known = json!({"username": "ben", "password": PASSWORD, "email": "ann@example.org"});
    app.http
        .post_anonymous("/api/signup_request", &known)
        .await
        .assert_unavailable();
    for name in ["ann", "ann@example.org", "nobody"] {
        let asked = app
            .http
            .post_anonymous(
                "/api/reset_password_request",
                &json!({"username_or_email": name}),
            )
            .await;
        asked.assert_unavailable();
    }
    let email = json!({"email": "ann@new.example"});
    ann.call("/api/account/update_email_request", &email)
        .await
        .assert_unavailable();

    let free = app
        .http
        .post_anonymous("/api/username", &json!({"username": "ben"}))
        .await;
    assert_eq!(
        free.success().0,
        json!({"username": "ben", "available": true})
    );
    let token = ann
        .call(
            "/api/account/update",
            &json!({"name": "Anna", "password": NEW}),
        )
        .await
        .token();
    ann.assert_denied_eventually().await;
    let body = with_codes(&email, &sample(), "AAAAAA");
    let refused = app
        .http
        .post("/api/account/update_email")
        .bearer(&token)
        .json(&body)
        .send()
        .await;
    refused.assert_code_rejected();
    app.http
        .post_anonymous("/api/signup", &with_codes(&signup, &sample(), "AAAAAA"))
        .await
        .assert_code_rejected();
    let reset = with_codes(
        &json!({"username": "ann", "new_password": NEW}),
        &sample(),
        "AAAAAA",
    );
    app.http
        .post_anonymous("/api/reset_password", &reset)
        .await
        .assert_code_rejected();
    let deleted = app
        .http
        .post("/api/account/delete")
        .bearer(&token)
        .json(&json!({"confirm": true}))
        .send()
        .await;
    deleted.success();
}

/// Returns the answer to a first step with a validation code that does not exist.
fn sample() -> doorward_tests::Response {
    let body = json!({"success": true, "result": {"validation_code": "A".repeat(32)}, "data": {}})
        .to_string();
    let mut headers = http::HeaderMap::new();
    for (name, value) in [
        ("content-type", "application/json"),
        ("cache-control", "no-store"),
        ("x-request-id", "x"),
    ] {
        headers.insert(name, http::HeaderValue::from_static(value));
    }
    doorward_tests::Response {
        status: 200,
        headers,
        body: body.into(),
    }
}

async fn mails_may_go_to_the_log(backend: Backend) {
    let app = App::with_settings(
        backend,
        &[
            ("DOORWARD_LOG_MAILS", "true"),
            ("DOORWARD_APP_URL", "https://logged.example/start"),
        ],
    )
    .await;
    let first = json!({"username": "ann", "password": PASSWORD, "email": "ann@example.org"});
    let asked = app.http.post_anonymous("/api/signup_request", &first).await;
    validation_code(&asked);
    let mail = eventually("the mail in the log", Duration::from_secs(10), async || {
        let log = app.process.stderr();
        let (_, mail) = log.split_once("This code confirms your email address")?;
        mail.contains("https://logged.example/start")
            .then(|| mail.replace("\\n", "\n"))
    })
    .await;
    let is_code =
        |line: &&str| line.len() == 6 && line.bytes().all(|byte| byte.is_ascii_alphanumeric());
    let code = mail.lines().find(is_code);
    let code = code.unwrap_or_else(|| panic!("no code in {mail}"));
    assert_eq!(
        app.http
            .post_anonymous("/api/signup", &with_codes(&first, &asked, code))
            .await
            .status,
        200
    );
}

async fn mail_server_is_greeted_by_the_name_of_the_app_or_of_the_setting(backend: Backend) {
    let none: &[(&str, &str)] = &[];
    let own: &[(&str, &str)] = &[("DOORWARD_SMTP_HELLO", "Mail-7.example.net")];
    let literal: &[(&str, &str)] = &[("DOORWARD_SMTP_HELLO", "[IPv6:2001:db8::7]")];
    let local: &[(&str, &str)] = &[("DOORWARD_APP_URL", "http://localhost:3000/app")];
    let names = [
        "app.example.org",
        "Mail-7.example.net",
        "[IPv6:2001:db8::7]",
        "[127.0.0.1]",
    ];
    for (settings, hello) in [none, own, literal, local].into_iter().zip(names) {
        let app = MailApp::with(backend, settings).await;
        let first = json!({"username": "ann", "password": PASSWORD, "email": "ann@example.org"});
        app.http
            .post_anonymous("/api/signup_request", &first)
            .await
            .success();
        assert_eq!(app.smtp.mail_to("ann@example.org").await.hello, hello);
    }
}

async fn mail_waits_for_the_mail_server(backend: Backend) {
    let smtp = SmtpServer::start_with(Options {
        port: ports::find_free_port(),
        ..Options::default()
    })
    .await;
    let port = smtp.port();
    let settings = mail_settings(&smtp);
    drop(smtp);
    let settings: Vec<(&str, &str)> = settings
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    let app = App::on_installation(Installation::new(backend).with(&settings)).await;
    let first = json!({"username": "ann", "password": PASSWORD, "email": "ann@example.org"});
    let asked = app.http.post_anonymous("/api/signup_request", &first).await;
    validation_code(&asked);
    let smtp = SmtpServer::start_with(Options {
        port,
        ..Options::default()
    })
    .await;
    let app = MailApp { app, smtp };
    let code = app.mailed_code("ann@example.org").await;
    assert_eq!(
        app.http
            .post_anonymous("/api/signup", &with_codes(&first, &asked, &code))
            .await
            .status,
        200
    );
    assert_eq!(app.smtp.mails().len(), 1);
}
