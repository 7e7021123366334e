//! Tests that each call treats all spellings of an address as one mailbox, and that a migration
//! reports accounts which an earlier release treated as different mailboxes.

use std::time::Duration;

use doorward_tests::{
    App, Backend, Installation, MailApp, PASSWORD, ReceivedMail, SmtpServer, User,
    backend::undo_plain_names,
    eventually,
    installation::gid,
    mail_app::{mail_settings, with_codes, with_field},
    on_both_databases,
    sql::execute,
};
use serde_json::json;

on_both_databases![
    every_call_takes_all_spellings_for_one_mailbox,
    all_spellings_count_as_one_mailbox,
    malformed_addresses_are_invalid_in_every_call,
    migration_names_conflicts_and_keeps_both_accounts,
];

/// Spellings of one mailbox and the address in the `To` header of mails to each.
const SPELLINGS: [(&str, &str); 6] = [
    ("fay@b\u{fc}cher.example", "fay@xn--bcher-kva.example"),
    ("FAY@xn--bcher-kva.example", "FAY@xn--bcher-kva.example"),
    (
        "\"fay\"@b\u{fc}cher.example",
        "\"fay\"@xn--bcher-kva.example",
    ),
    (
        "\"f\\ay\"@B\u{dc}CHER.example",
        "\"f\\ay\"@xn--bcher-kva.example",
    ),
    (
        "fay@bu\u{308}cher.\u{ff45}xample",
        "fay@xn--bcher-kva.example",
    ),
    (
        "Fay@b\u{fc}cher\u{3002}example",
        "Fay@xn--bcher-kva.example",
    ),
];

async fn every_call_takes_all_spellings_for_one_mailbox(backend: Backend) {
    let app = MailApp::start(backend).await;
    let ann = app.user("ann").await;
    let project = app.installation.create_project("ann", "Herbarium").await;
    let invite = async |name: &str| {
        let body = json!({"username_or_email": name});
        ann.call(&format!("/api/p/{project}/members/invite"), &body)
            .await
            .success()
            .0["user"]
            .clone()
    };
    // All invitations use one placeholder account, which the signup takes over.
    let placeholder = invite(SPELLINGS[3].0).await;
    // The mail server of the tests removes quotes that are not needed.
    let invitation = app.smtp.mail_to(SPELLINGS[0].1).await;
    assert!(
        invitation
            .raw
            .contains(&format!("To: {}\r\n", SPELLINGS[3].1)),
        "{}",
        invitation.raw
    );
    assert!(
        invitation.text.contains("/invite?invitee="),
        "{}",
        invitation.text
    );
    assert_eq!(invite(SPELLINGS[0].0).await, placeholder);
    app.smtp.mail_to(SPELLINGS[0].1).await;
    let first = json!({"username": "fay", "password": PASSWORD, "email": SPELLINGS[5].0});
    let response = app.http.post_anonymous("/api/signup_request", &first).await;
    let code = app.mailed_code(SPELLINGS[5].1).await;
    let second = with_codes(
        &with_field(&first, "email", SPELLINGS[2].0),
        &response,
        &code,
    );
    let signed_up = app.http.post_anonymous("/api/signup", &second).await;
    let (result, data) = signed_up.success();
    assert_eq!(result["user"], placeholder);
    let fay = placeholder.as_str().expect("a gid").to_owned();
    assert_eq!(
        data["cc.users"][&fay]["email"],
        json!(SPELLINGS[2].0),
        "the address must be shown in the spelling of the signup"
    );
    let fay = User {
        gid: fay,
        username: "fay".to_owned(),
        token: signed_up.token(),
        http: app.http.clone(),
    };

    for (written, delivered) in SPELLINGS {
        assert_eq!(invite(written).await, json!(fay.gid), "{written}");
        let answer = app
            .http
            .post_anonymous(
                "/api/reset_password_request",
                &json!({"username_or_email": written}),
            )
            .await;
        assert_eq!(answer.success().0["usernames"], json!(["fay"]), "{written}");
        let another = json!({"username": "other", "password": PASSWORD, "email": written});
        app.http
            .post_anonymous("/api/signup_request", &another)
            .await
            .success();
        let mail = eventually(written, Duration::from_secs(20), async || {
            let header = format!("To: {delivered}\r\n");
            let is_report = |mail: &&ReceivedMail| {
                mail.raw.contains(&header) && mail.text.contains("you already have one")
            };
            app.smtp.mails().iter().find(is_report).cloned()
        })
        .await;
        assert!(mail.text.contains("\n- fay\n"), "{}", mail.text);
    }
    // A username with an @ must be a spelling of the user's own address.
    fay.call(
        "/api/account/update",
        &json!({"username": "Fay@xn--bcher-kva.example"}),
    )
    .await
    .success();
    let other = fay
        .call(
            "/api/account/update",
            &json!({"username": "eve@b\u{fc}cher.example"}),
        )
        .await;
    other.assert_validation_error("username", "invalid");
}

async fn all_spellings_count_as_one_mailbox(backend: Backend) {
    let limits = [
        ("DOORWARD_LOGIN_FAILURES", "3"),
        ("DOORWARD_LOGIN_BACKOFF", "10m"),
        ("DOORWARD_LOGIN_BACKOFF_MAX", "1h"),
    ];
    let app = MailApp::with(
        backend,
        &[&limits[..], &[("DOORWARD_TRUSTED_PROXIES", "127.0.0.0/8")]].concat(),
    )
    .await;
    for (turn, (written, _)) in SPELLINGS.iter().chain(&SPELLINGS).enumerate() {
        let body =
            json!({"username": format!("new-{turn}"), "password": PASSWORD, "email": written});
        let call = app.http.post("/api/signup_request").json(&body);
        let answer = call.header("x-forwarded-for", "203.0.113.1").send().await;
        if turn < 6 {
            answer.success();
        } else {
            answer.assert_throttled();
        }
    }
}

async fn malformed_addresses_are_invalid_in_every_call(backend: Backend) {
    let app = MailApp::start(backend).await;
    let ann = app.user("ann").await;
    let project = app.installation.create_project("ann", "Herbarium").await;
    for bad in [
        "fay@[192.0.2.1]",
        "fay@192.0.2.1",
        "fay@\u{ff11}\u{ff19}\u{ff12}.0.2.1",
        "fay@example.org.",
        "fay@example..org",
        "fay@xn--a.example",
        "fay@exam_ple.org",
        "\"fay@example.org",
        "\"fa\ty\"@example.org",
        "f\\ay@example.org",
        "fa\u{212a}@example.org",
        &format!("{}@example.org", "x".repeat(65)),
        &format!("fay@{}.example", "\u{fc}".repeat(63)),
    ] {
        let signup = json!({"username": "fay", "password": PASSWORD, "email": bad});
        app.http
            .post_anonymous("/api/signup_request", &signup)
            .await
            .assert_validation_error("email", "invalid");
        let change = ann
            .call("/api/account/update_email_request", &json!({"email": bad}))
            .await;
        change.assert_validation_error("email", "invalid");
        let body = json!({"username_or_email": bad});
        let invited = ann
            .call(&format!("/api/p/{project}/members/invite"), &body)
            .await;
        invited.assert_unprocessable("user_not_found");
        app.http
            .post_anonymous("/api/reset_password_request", &body)
            .await
            .assert_unprocessable("user_not_found");
        let words = [
            "user",
            "create",
            "--username",
            "fay",
            "--email",
            bad,
            "--password-stdin",
        ];
        app.installation
            .cli(&words, PASSWORD)
            .await
            .assert_failure(2);
    }
    assert!(app.smtp.mails().is_empty());
}

async fn migration_names_conflicts_and_keeps_both_accounts(backend: Backend) {
    const UNDO: &str = "DROP INDEX users_by_email_conflict; ALTER TABLE users DROP COLUMN has_email_conflict; \
                        UPDATE users SET email_folded = LOWER(email); \
                        DELETE FROM __diesel_schema_migrations WHERE version = '0009'";
    let installation = Installation::new(backend);
    installation.cli(&["migrate"], "").await.assert_success();
    let create = async |username: &str, email: &str| {
        let words = [
            "user",
            "create",
            "--username",
            username,
            "--email",
            email,
            "--password-stdin",
        ];
        gid(&installation.cli(&words, PASSWORD).await.assert_success())
    };
    let old = create("old", "\"fay\"@example.org").await;
    let new = create("new", "fay@example.org").await;
    let german = create("german", "gus@b\u{fc}cher.example").await;
    let ascii = create("ascii", "gus@xn--bcher-kva.example").await;
    // Accounts with the same spelling share their address on purpose, which is not a conflict.
    create("twin", "we@example.org").await;
    create("other_twin", "We@example.org").await;
    create("alone", "\"alone\"@example.org").await;
    // The earlier release could store two placeholder accounts for one mailbox, and a placeholder
    // account for the mailbox of an account.
    undo_plain_names(&installation.databases.directory, "directory");
    execute(&installation.databases.directory, UNDO);
    for (gid, email) in [
        (
            "00000000-0000-4000-8000-000000000001",
            "\"ida\"@example.org",
        ),
        ("00000000-0000-4000-8000-000000000002", "ida@example.org"),
        ("00000000-0000-4000-8000-000000000003", "alone@example.org"),
    ] {
        let sql = format!(
            "INSERT INTO users (gid, email, email_folded, name, status, language, timezone, created_at, updated_at) \
             VALUES ('{gid}', '{email}', '{email}', '', 'invited', 'en', 'Europe/Amsterdam', 1, 1)"
        );
        execute(&installation.databases.directory, &sql);
    }

    let pairs = [
        ("fay@example.org", &old, &new),
        ("gus@xn--bcher-kva.example", &german, &ascii),
    ];
    // Each run of the migration reports the remaining conflicts.
    for _ in 0..2 {
        let output = installation.cli(&["migrate"], "").await.assert_success();
        let lines: Vec<&str> = output
            .stderr
            .lines()
            .filter(|line| line.contains("conflict: "))
            .collect();
        assert_eq!(lines.len(), 2, "{output}");
        for (address, older, younger) in pairs {
            let is_pair = |line: &&&str| {
                [address, older, younger]
                    .iter()
                    .all(|part| line.contains(part))
            };
            assert_eq!(lines.iter().filter(is_pair).count(), 1, "{output}");
        }
    }

    let smtp = SmtpServer::start().await;
    let settings = mail_settings(&smtp);
    let settings: Vec<(&str, &str)> = settings
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    let app = MailApp {
        app: App::on_installation(installation.with(&settings)).await,
        smtp,
    };
    let log = app.process.stderr();
    for (address, older, younger) in pairs {
        let is_pair = |line: &&str| {
            [address, older, younger]
                .iter()
                .all(|part| line.contains(part))
        };
        assert_eq!(log.lines().filter(is_pair).count(), 1, "{log}");
    }
    let ann = app.user("ann").await;
    let project = app.installation.create_project("ann", "Herbarium").await;
    let invite = async |name: &str| {
        let body = json!({"username_or_email": name});
        ann.call(&format!("/api/p/{project}/members/invite"), &body)
            .await
            .success()
            .0["user"]
            .clone()
    };
    let usernames = async |name: &str| {
        let response = app
            .http
            .post_anonymous(
                "/api/reset_password_request",
                &json!({"username_or_email": name}),
            )
            .await;
        response.success().0["usernames"].clone()
    };
    assert_eq!(usernames("fay@example.org").await, json!(["old"]));
    assert_eq!(
        usernames("Gus@b\u{fc}cher.example").await,
        json!(["german"])
    );
    assert_eq!(
        usernames("we@example.org").await,
        json!(["other_twin", "twin"])
    );
    assert_eq!(usernames("alone@example.org").await, json!(["alone"]));
    assert_eq!(invite("fay@example.org").await, json!(old));
    assert_eq!(invite("gus@xn--bcher-kva.example").await, json!(german));
    assert_eq!(
        invite("ida@example.org").await,
        json!("00000000-0000-4000-8000-000000000001")
    );
    assert_eq!(
        app.installation
            .cli(&["user", "list"], "")
            .await
            .assert_success()
            .items()
            .len(),
        9
    );

    // Both accounts work. A conflict ends when the address of the newer account changes.
    for name in ["old", "new", "german", "ascii"] {
        assert_eq!(app.http.login(name, PASSWORD).await.status, 200, "{name}");
    }
    let token = app.http.login("new", PASSWORD).await.token();
    let user = User {
        gid: new.clone(),
        username: "new".to_owned(),
        token,
        http: app.http.clone(),
    };
    let change = app.request_email_change(&user, "faye@example.org").await;
    user.call("/api/account/update_email", &change)
        .await
        .success();
    assert_eq!(usernames("faye@example.org").await, json!(["new"]));
    let output = app
        .installation
        .cli(&["migrate"], "")
        .await
        .assert_success();
    assert!(
        !output.stderr.contains("fay@example.org") && output.stderr.contains(&ascii),
        "{output}"
    );
    // A conflict also ends when the older account is deleted.
    app.installation
        .cli(&["user", "delete", "german"], "")
        .await
        .assert_success();
    assert_eq!(usernames("gus@b\u{fc}cher.example").await, json!(["ascii"]));
    let output = app
        .installation
        .cli(&["migrate"], "")
        .await
        .assert_success();
    assert!(!output.stderr.contains("conflict: "), "{output}");
}
