//! Tests that codes, passwords and tokens are not in the databases, the debug log or the audit
//! trail.

use std::time::Duration;

use doorward_tests::{
    App, Backend, Installation, PASSWORD, SmtpServer, eventually, on_both_databases, ports,
    smtp::Options, sql::texts,
};
use serde_json::{Value, json};

use crate::accounts::steps::{
    AccountClient, NEW_PASSWORD, count, mailed, newcomer, refused, validation_code, with, wrong,
};

on_both_databases![
    pending_codes_are_not_stored_in_clear,
    secrets_are_never_logged_or_audited
];

const EVENTUALLY_TIMEOUT: Duration = Duration::from_secs(15);

/// Returns the raw contents of the databases: the files of SQLite, or all tables of auth in
/// PostgreSQL that contain secrets.
fn stored(app: &App) -> String {
    let databases = &app.installation.databases;
    match &databases.auth {
        doorward_storage::DatabaseUrl::Sqlite(_) => {
            let files = std::fs::read_dir(app.installation.path()).expect("a directory");
            let files = files.map(|file| file.expect("a file").path());
            let is_database = |path: &std::path::PathBuf| path.to_string_lossy().contains(".db");
            files
                .filter(is_database)
                .map(|path| {
                    String::from_utf8_lossy(&std::fs::read(path).expect("bytes")).into_owned()
                })
                .collect()
        }
        doorward_storage::DatabaseUrl::Postgres(_) => [
            "codes",
            "outbox",
            "audit",
            "throttle",
            "credentials",
            "secrets",
        ]
        .map(|table| {
            texts(
                &databases.auth,
                &format!("SELECT t::text AS text FROM {table} t"),
            )
            .join("\n")
        })
        .join("\n"),
    }
}

async fn pending_codes_are_not_stored_in_clear(backend: Backend) {
    let port = ports::find_free_port();
    let app = App::on_installation(mailed(
        Installation::new(backend),
        &format!("smtp://localhost:{port}"),
    ))
    .await;
    let ann = app.user("ann").await;
    let begun = app
        .http
        .post("/api/signup_request")
        .json(&newcomer("new"))
        .send()
        .await;
    let mut secrets = vec![validation_code(&begun)];
    let reset = app
        .http
        .post("/api/reset_password_request")
        .json(&json!({"username_or_email": "ann"}))
        .send()
        .await;
    secrets.push(validation_code(&reset));
    let change = json!({"email": "other@example.org"});
    secrets.push(validation_code(
        &ann.call("/api/account/update_email_request", &change).await,
    ));
    let auth = &app.installation.databases.auth;
    // The mail server is not running, so the mails with the codes stay in the outbox.
    eventually("failed deliveries", EVENTUALLY_TIMEOUT, async || {
        (count(auth, "outbox", "attempts > 0 AND leased_until IS NULL") == 3).then_some(())
    })
    .await;
    let stored = stored(&app);
    // The outbox must be part of the searched text.
    assert!(stored.contains("signup_code") && stored.contains("new@example.org"));

    let smtp = SmtpServer::start_with(Options {
        port,
        ..Options::default()
    })
    .await;

    for address in ["new@example.org", "ann@example.org", "other@example.org"] {
        secrets.push(smtp.mail_to(address).await.code());
    }
    secrets.extend([
        PASSWORD.to_owned(),
        "\"code\"".to_owned(),
        "verification_code".to_owned(),
    ]);
    for secret in secrets {
        assert!(!stored.contains(&secret), "{secret} is stored");
    }
}

async fn secrets_are_never_logged_or_audited(backend: Backend) {
    let smtp = SmtpServer::start().await;
    let installation = mailed(Installation::new(backend), &smtp.url());
    let app = App::on_installation(
        installation.with(&[("RUST_LOG", "debug"), ("DOORWARD_LOG", "debug")]),
    )
    .await;
    let caller = AccountClient {
        http: &app.http,
        smtp: &smtp,
    };
    let mut secrets = vec![
        PASSWORD.to_owned(),
        NEW_PASSWORD.to_owned(),
        "typed a wrong one 77".to_owned(),
    ];
    let mut add_codes = |body: &Value| {
        for name in ["validation_code", "verification_code"] {
            secrets.push(body[name].as_str().expect("a code").to_owned());
        }
    };
    let signup = caller.begin_signup(&newcomer("ann")).await;
    add_codes(&signup);
    refused(&caller.signup(&wrong(&signup)).await);
    refused(
        &caller
            .signup(&with(&signup, "password", "typed a wrong one 77"))
            .await,
    );
    let first = caller.signup(&signup).await.token();
    let email = caller.begin_email_change(&first, "new@example.org").await;
    add_codes(&email);
    refused(&caller.change_email(&first, &wrong(&email)).await);
    caller.change_email(&first, &email).await.success();
    let change = json!({"password": NEW_PASSWORD, "current_password": "typed a wrong one 77"});
    let answer = caller.post_as(&first, "/api/account/update", &change).await;
    answer.assert_validation_error("current_password", "incorrect");
    let begun = caller
        .post(
            "/api/reset_password_request",
            &json!({"username_or_email": "ann"}),
        )
        .await;
    let code = smtp.mail_to("new@example.org").await.code();
    let reset = json!({"username": "ann", "new_password": NEW_PASSWORD, "validation_code": validation_code(&begun)});
    let reset = with(&reset, "verification_code", code);
    add_codes(&reset);
    refused(&caller.reset(&wrong(&reset)).await);
    let second = caller.reset(&reset).await.token();
    caller
        .post_as(&second, "/api/account/delete", &json!({"confirm": true}))
        .await
        .success();
    for token in [first, second] {
        let signature = token.rsplit('.').next().expect("a signature").to_owned();
        secrets.extend([signature, token]);
    }
    secrets.push("$argon2".to_owned());

    let log = app.process.stderr();
    let trail = app
        .installation
        .cli(&["audit"], "")
        .await
        .assert_success()
        .to_string();

    assert!(log.contains("DEBUG"), "{log}");
    let expected = [
        "signup_requested",
        "code_refused",
        "signup",
        "email_changed",
        "password_reset",
        "user_deleted",
    ];
    assert!(
        expected.iter().all(|action| trail.contains(action)),
        "{trail}"
    );
    let stored = stored(&app);
    for secret in &secrets {
        assert!(!log.contains(secret.as_str()), "{secret} is in the log");
        assert!(!trail.contains(secret.as_str()), "{secret} is in\n{trail}");
        let is_hash = secret.starts_with('$');
        assert!(
            is_hash || !stored.contains(secret.as_str()),
            "{secret} is stored"
        );
    }
    // The audit trail must not contain email addresses either.
    assert!(!trail.contains("example.org"), "{trail}");
}
