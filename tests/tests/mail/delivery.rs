//! Tests mails from the call that causes them to the mailbox, with unavailable mail servers and
//! killed processes.

use std::{collections::HashSet, time::Duration};

use doorward_tests::{
    App, Backend, Http, Installation, PASSWORD, SmtpServer, eventually, on_both_databases, ports,
    services::Role::Auth, smtp::Options, sql::execute,
};
use futures_util::future::join_all;
use serde_json::json;

use crate::accounts::steps::{
    APP_URL, AccountClient, NEW_PASSWORD, app, count, mailed, newcomer, split, validation_code,
    with,
};

on_both_databases![
    undeliverable_mail_waits_for_the_server,
    mail_that_waits_survives_a_kill_and_a_new_master_key,
    unacknowledged_mail_is_sent_again_with_the_same_id,
    rejected_mail_is_audited_without_address,
    every_mail_links_to_the_configured_app,
];

const EVENTUALLY_TIMEOUT: Duration = Duration::from_secs(15);

/// Starts an app whose mail server is not running yet, and returns it with the port of that server.
async fn without_a_mail_server(backend: Backend) -> (App, u16) {
    let port = ports::find_free_port();
    let url = format!("smtp://localhost:{port}");
    (
        App::on_installation(mailed(Installation::new(backend), &url)).await,
        port,
    )
}

async fn mail_server(port: u16) -> SmtpServer {
    SmtpServer::start_with(Options {
        port,
        ..Options::default()
    })
    .await
}

fn waiting(app: &App, condition: &str) -> usize {
    count(&app.installation.databases.auth, "outbox", condition)
}

async fn all_sent(app: &App) {
    eventually("an empty outbox", EVENTUALLY_TIMEOUT, async || {
        (waiting(app, "1 = 1") == 0).then_some(())
    })
    .await;
}

async fn undeliverable_mail_waits_for_the_server(backend: Backend) {
    let (app, port) = without_a_mail_server(backend).await;
    let begun = app
        .http
        .post("/api/signup_request")
        .json(&newcomer("ann"))
        .send()
        .await;
    let body = with(&newcomer("ann"), "validation_code", validation_code(&begun));
    eventually("an attempt", EVENTUALLY_TIMEOUT, async || {
        (waiting(&app, "attempts = 1 AND leased_until IS NULL") == 1).then_some(())
    })
    .await;

    let smtp = mail_server(port).await;

    let code = smtp.mail_to("ann@example.org").await.code();
    app.http
        .post("/api/signup")
        .json(&with(&body, "verification_code", code))
        .send()
        .await
        .token();
    all_sent(&app).await;
    assert_eq!(smtp.mails().len(), 1);
}

async fn mail_that_waits_survives_a_kill_and_a_new_master_key(backend: Backend) {
    let (mut app, port) = without_a_mail_server(backend).await;
    let begun = app
        .http
        .post("/api/signup_request")
        .json(&newcomer("ann"))
        .send()
        .await;
    let body = with(&newcomer("ann"), "validation_code", validation_code(&begun));
    eventually("an attempt", EVENTUALLY_TIMEOUT, async || {
        (waiting(&app, "leased_until IS NULL AND attempts > 0") == 1).then_some(())
    })
    .await;
    app.process.kill();
    let new_key = "YW5vdGhlciBtYXN0ZXIga2V5IG9mIHRoZSB0ZXN0cyE=";
    app.installation
        .set(&[("DOORWARD_NEW_MASTER_KEY", new_key)]);
    app.installation
        .cli(&["keys", "reseal"], "")
        .await
        .assert_success();
    app.installation.set(&[("DOORWARD_MASTER_KEY", new_key)]);
    let smtp = mail_server(port).await;

    app.restart().await;

    let code = smtp.mail_to("ann@example.org").await.code();
    app.http
        .post("/api/signup")
        .json(&with(&body, "verification_code", code))
        .send()
        .await
        .token();
    all_sent(&app).await;
    assert_eq!(smtp.mails().len(), 1);
}

async fn unacknowledged_mail_is_sent_again_with_the_same_id(backend: Backend) {
    let smtp = SmtpServer::start_with(Options {
        slow: Some(Duration::from_secs(3)),
        ..Options::default()
    })
    .await;
    let mut app = app(backend, &smtp, &[]).await;
    let body = with(&newcomer("ann"), "email", "slow+ann@example.org");
    let begun = app
        .http
        .post("/api/signup_request")
        .json(&body)
        .send()
        .await;
    let first = smtp.mail_to("slow+ann@example.org").await;
    app.process.kill();
    assert_eq!(waiting(&app, "leased_until IS NOT NULL"), 1);
    // The lease of the killed process has ended.
    execute(
        &app.installation.databases.auth,
        "UPDATE outbox SET next_attempt_at = 0, leased_until = NULL",
    );
    app.restart().await;
    let second = smtp.mail_to("slow+ann@example.org").await;
    assert_eq!(first.header("Message-ID"), second.header("Message-ID"));
    assert_eq!((first.code(), &first.text), (second.code(), &second.text));
    all_sent(&app).await;
    assert_eq!(smtp.mails().len(), 2);
    let body = with(
        &with(&body, "validation_code", validation_code(&begun)),
        "verification_code",
        second.code(),
    );
    app.http
        .post("/api/signup")
        .json(&body)
        .send()
        .await
        .token();
}

async fn rejected_mail_is_audited_without_address(backend: Backend) {
    let smtp = SmtpServer::start().await;
    let app = app(backend, &smtp, &[]).await;
    let ann = app.user("ann").await;
    let address = "refuse+ann@example.org";
    ann.call(
        "/api/account/update_email_request",
        &json!({"email": address}),
    )
    .await
    .success();
    all_sent(&app).await;
    let output = app
        .installation
        .cli(&["audit", "--action", "mail_given_up"], "")
        .await
        .assert_success();
    let [record] = output.items().try_into().expect("one record");
    let record: serde_json::Value = record;
    assert_eq!(record["user"], json!(ann.gid));
    let detail = record["detail"].as_str().expect("a reason");
    assert!(
        detail.contains("email_code") && detail.contains("550"),
        "{detail}"
    );
    for text in [output.stdout.as_str(), &app.process.stderr()] {
        assert!(
            !text.contains("refuse+") && !text.contains("Recipient"),
            "{text}"
        );
    }
    assert_eq!(smtp.mails().len(), 0);
}

/// Links in mails must not depend on headers of the request (as in ZITADEL, CVE-2025-48936).
async fn every_mail_links_to_the_configured_app(backend: Backend) {
    let smtp = SmtpServer::start().await;
    let app = app(backend, &smtp, &[]).await;
    let ann = app.user("ann").await;
    let evil = "evil.example.net";
    let send = async |http: &Http, token: Option<&str>, path: &str, body: &serde_json::Value| {
        let call = http
            .post(path)
            .json(body)
            .header("host", evil)
            .header("x-forwarded-host", evil);
        let call = call
            .header("forwarded", &format!("host={evil};proto=http"))
            .header("x-forwarded-proto", "ftp");
        let call = call
            .header("origin", "https://evil.example.net")
            .header("referer", "https://evil.example.net/x");
        let call = match token {
            Some(token) => call.bearer(token),
            None => call,
        };
        assert_eq!(call.send().await.status, 200, "{path}");
    };
    send(&app.http, None, "/api/signup_request", &newcomer("new")).await;
    let known = with(&newcomer("newer"), "email", "ann@example.org");
    send(&app.http, None, "/api/signup_request", &known).await;
    smtp.mail_to("ann@example.org").await;
    send(
        &app.http,
        None,
        "/api/reset_password_request",
        &json!({"username_or_email": "ann"}),
    )
    .await;
    smtp.mail_to("ann@example.org").await;
    let email = json!({"email": "other@example.org"});
    send(
        &app.http,
        Some(&ann.token),
        "/api/account/update_email_request",
        &email,
    )
    .await;
    let password = json!({"password": NEW_PASSWORD, "current_password": PASSWORD});
    send(
        &app.http,
        Some(&ann.token),
        "/api/account/update",
        &password,
    )
    .await;
    smtp.mail_to("ann@example.org").await;
    for address in ["new@example.org", "other@example.org"] {
        smtp.mail_to(address).await;
    }
    let mails = smtp.mails();
    assert_eq!(mails.len(), 5);
    for mail in mails {
        assert!(
            !mail.raw.contains("evil") && !mail.html.contains("evil"),
            "{}",
            mail.raw
        );
        assert!(!mail.text.contains(NEW_PASSWORD) && !mail.text.contains(PASSWORD));
        let links: HashSet<&str> = mail
            .html
            .split('"')
            .filter(|part| part.starts_with("http") || part.starts_with("//"))
            .collect();
        assert!(
            links
                .iter()
                .all(|link| link.starts_with("https://app.example.org")),
            "{links:?}"
        );
        assert!(
            mail.text.contains("://") <= mail.text.contains(APP_URL),
            "{}",
            mail.text
        );
    }
}

/// The workers of both processes read the same outbox.
#[tokio::test(flavor = "multi_thread")]
async fn two_auths_over_one_database_send_nothing_twice() {
    let smtp = SmtpServer::start().await;
    let split = split(Backend::Postgres, &smtp, &[("DOORWARD_HASH_QUEUE", "200")]).await;
    let (_auth, gateway) = split.start_second_auth_and_gateway().await;
    let gateways = [split.http.clone(), gateway.http()];
    let bodies: Vec<_> = (0..60)
        .map(|number| newcomer(&format!("ann-{number}")))
        .collect();
    let calls = bodies.iter().zip(gateways.iter().cycle());
    let begun = join_all(calls.map(|(body, http)| {
        http.post("/api/signup_request")
            .json(body)
            .send_until_served()
    }))
    .await;
    begun
        .iter()
        .for_each(|answer| assert_eq!(answer.status, 200, "{answer:?}"));
    let outbox = &split.installation.databases.auth;
    eventually("an empty outbox", EVENTUALLY_TIMEOUT, async || {
        (count(outbox, "outbox", "1 = 1") == 0).then_some(())
    })
    .await;
    let (mails, ids): (Vec<_>, HashSet<_>) = smtp
        .mails()
        .into_iter()
        .map(|mail| (mail.to.clone(), mail.header("Message-ID").to_owned()))
        .unzip();
    assert_eq!(
        (
            mails.len(),
            ids.len(),
            mails.iter().collect::<HashSet<_>>().len()
        ),
        (60, 60, 60)
    );
    // Codes that one gateway has requested work at the other.
    for (number, (body, begun)) in bodies.iter().zip(&begun).enumerate().take(4) {
        let code = smtp
            .mail_to(&format!("ann-{number}@example.org"))
            .await
            .code();
        let body = with(
            &with(body, "validation_code", validation_code(begun)),
            "verification_code",
            code,
        );
        AccountClient {
            http: &gateways[(number + 1) % 2],
            smtp: &smtp,
        }
        .signup(&body)
        .await
        .token();
    }
    assert_eq!(split.ops(Auth).status("/health/ready").await, Some(200));
}
