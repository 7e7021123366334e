//! Tests which usernames are valid and available, in `POST /api/username`, signups and account
//! updates.

use doorward_tests::{
    App, Backend, MailApp, PASSWORD,
    assertions::{assert_method, assert_requires_strings},
    mail_app::with_field,
    on_both_databases,
};
use futures_util::future::join_all;
use serde_json::{Value, json};

on_both_databases![
    username_check_needs_no_token,
    username_is_returned_normalized,
    usernames_forbidden_by_rfc_8265_are_rejected,
    name_has_1_to_64_characters,
    call_requires_its_parameter,
    taken_username_is_unavailable_in_every_call,
    names_of_every_script_are_in_mails_as_they_are,
    at_sign_requires_the_own_address,
    name_with_an_at_sign_stays_when_the_address_changes,
    one_of_ten_concurrent_signups_gets_the_username,
    concurrent_renames_to_one_username_conflict,
];

/// Usernames and their stored forms (RFC 8265, `UsernameCasePreserved`).
const NORMAL: [(&str, &str); 9] = [
    ("ann", "ann"),
    ("Ann", "Ann"),
    ("\u{ff41}\u{ff4e}\u{ff4e}", "ann"),
    ("Zoe\u{308}", "Zo\u{eb}"),
    ("jürgen.o-b_1+2", "jürgen.o-b_1+2"),
    ("用户", "用户"),
    ("אבג", "אבג"),
    ("foo@bar", "foo@bar"),
    ("A\u{30a}ngstrom", "\u{c5}ngstrom"),
];
/// Usernames that RFC 8265 forbids.
const FORBIDDEN: [&str; 23] = [
    "",
    " ",
    "a b",
    "\u{3000}",
    "a\u{a0}b",
    "a\u{3000}b",
    "a\tb",
    "ann\r\nben",
    "a\u{0}b",
    "\u{7f}",
    "\u{200b}",
    "a\u{200b}nn",
    "a\u{200d}nn",
    "\u{202e}nna",
    "a\u{2066}nn",
    "\u{feff}ann",
    "ann\u{1f600}",
    "\u{fb01}sh",
    "henry\u{2163}",
    "\u{212b}ngstrom",
    "\u{221e}",
    "a\u{5d0}",
    "\u{e000}",
];

async fn ask(app: &App, username: &str) -> (Value, Value) {
    let answer = app
        .http
        .post_anonymous("/api/username", &json!({"username": username}))
        .await;
    assert_eq!(answer.header("authorization"), None);
    answer.success()
}

async fn username_check_needs_no_token(backend: Backend) {
    let app = App::start(backend).await;
    let ann = app.user("ann").await;
    app.user("ben").await;
    app.installation.change_user("deactivate", "ben").await;
    for (name, is_available) in [("ann", false), ("ben", false), ("cas", true), ("Ann", true)] {
        let answer = app
            .http
            .post_anonymous("/api/username", &json!({"username": name, "more": 1}))
            .await;
        let expected = json!({"username": name, "available": is_available});
        assert_eq!(
            answer.json(),
            json!({"success": true, "result": expected, "data": {}}),
            "{name}"
        );
        assert_eq!(answer.header("authorization"), None);
        // The response is the same with a token.
        assert_eq!(
            ann.call("/api/username", &json!({"username": name}))
                .await
                .success(),
            (expected, json!({}))
        );
    }
    let garbage = app
        .http
        .post("/api/username")
        .bearer("garbage")
        .json(&json!({"username": "cas"}))
        .send()
        .await;
    assert_eq!(garbage.status, 200);
}

async fn username_is_returned_normalized(backend: Backend) {
    let app = App::start(backend).await;
    for (typed, stored) in NORMAL {
        assert_eq!(
            ask(&app, typed).await,
            (json!({"username": stored, "available": true}), json!({}))
        );
    }
    app.user("ann").await;
    let taken = json!({"username": "ann", "available": false});
    assert_eq!(ask(&app, "\u{ff41}nn").await.0, taken);
}

async fn usernames_forbidden_by_rfc_8265_are_rejected(backend: Backend) {
    let app = MailApp::start(backend).await;
    let ann = app.user("ann").await;
    for name in FORBIDDEN {
        let body = json!({"username": name, "password": PASSWORD, "email": "new@example.org"});
        for path in ["/api/username", "/api/signup_request"] {
            let answer = app.http.post_anonymous(path, &body).await;
            assert_eq!(answer.status, 422, "{path} {name:?}");
            answer.assert_validation_error("username", "invalid");
        }
        let answer = ann
            .call("/api/account/update", &json!({"username": name}))
            .await;
        answer.assert_validation_error("username", "invalid");
    }
    assert_eq!(app.smtp.mails().len(), 0);
    assert_eq!(app.http.login("ann", PASSWORD).await.status, 200);
}

async fn name_has_1_to_64_characters(backend: Backend) {
    let app = MailApp::start(backend).await;
    let ann = app.user("ann").await;
    for valid in [
        "a".to_owned(),
        "x".repeat(64),
        "é".repeat(64),
        "e\u{301}".repeat(64),
        "𠀀".repeat(64),
    ] {
        assert_eq!(
            ask(&app, &valid).await.0["available"],
            json!(true),
            "{valid}"
        );
    }
    for long in [
        "x".repeat(65),
        "é".repeat(65),
        "e\u{301}".repeat(65),
        "𠀀".repeat(65),
        "x".repeat(100_000),
    ] {
        let body = json!({"username": long, "password": PASSWORD, "email": "new@example.org"});
        app.http
            .post_anonymous("/api/username", &body)
            .await
            .assert_validation_error("username", "too_long");
        app.http
            .post_anonymous("/api/signup_request", &body)
            .await
            .assert_validation_error("username", "too_long");
        ann.call("/api/account/update", &json!({"username": long}))
            .await
            .assert_validation_error("username", "too_long");
    }
    let long = "𠀀".repeat(64);
    app.sign_up(&long, "long@example.org").await;
    assert_eq!(app.http.login(&long, PASSWORD).await.status, 200);
}

async fn call_requires_its_parameter(backend: Backend) {
    let app = App::start(backend).await;
    assert_requires_strings(|| app.http.post("/api/username"), &["username"]).await;
    assert_method(&app.http, "/api/username").await;
}

async fn taken_username_is_unavailable_in_every_call(backend: Backend) {
    let app = MailApp::start(backend).await;
    let _ann = app.user("ann").await;
    let ben = app.user("ben").await;
    app.user("cas").await;
    app.installation.change_user("deactivate", "cas").await;
    for name in ["ann", "\u{ff41}\u{ff4e}n", "cas"] {
        let body = json!({"username": name, "password": PASSWORD, "email": "new@example.org"});
        app.http
            .post_anonymous("/api/signup_request", &body)
            .await
            .assert_validation_error("username", "unavailable");
        ben.call("/api/account/update", &json!({"username": name}))
            .await
            .assert_validation_error("username", "unavailable");
    }
    // The username is taken between the two steps of a signup.
    let body = app.request_signup("dan", "dan@example.org").await;
    ben.call("/api/account/update", &json!({"username": "dan"}))
        .await
        .success();
    app.http
        .post_anonymous("/api/signup", &body)
        .await
        .assert_validation_error("username", "unavailable");
    assert_eq!(
        app.http.login("dan", PASSWORD).await.success().0["user"],
        json!(ben.gid)
    );
    // When the username is available again, the same codes still work.
    ben.call("/api/account/update", &json!({"username": "ben"}))
        .await
        .success();
    assert_ne!(
        app.http
            .post_anonymous("/api/signup", &body)
            .await
            .success()
            .0["user"],
        json!(ben.gid)
    );
}

async fn names_of_every_script_are_in_mails_as_they_are(backend: Backend) {
    let app = MailApp::start(backend).await;
    let names = [
        "אבג",
        "用户",
        "Zo\u{eb}",
        "<b>&'x",
        "o'brien",
        "{{7*7}}",
        "-ann",
        "=?utf-8?q?x?=",
    ];
    for (number, name) in names.into_iter().enumerate() {
        let email = format!("user{number}@example.org");
        app.sign_up(name, &email).await;
        let response = app
            .http
            .post_anonymous(
                "/api/reset_password_request",
                &json!({"username_or_email": name}),
            )
            .await;
        assert_eq!(response.success().0["usernames"], json!([name]));
        let mail = app.smtp.mail_to(&email).await;
        assert!(
            mail.text.contains(&format!("\n- {name}\n")),
            "{}",
            mail.text
        );
        assert!(
            !mail.html.contains("<b>") && mail.html.contains("<bdi>"),
            "{}",
            mail.html
        );
        assert_eq!(mail.subject, "Your code for a new Doorward password");
        assert_eq!(mail.header("To"), email);
    }
}

// Otherwise a user could take the address of another user as a username.
async fn at_sign_requires_the_own_address(backend: Backend) {
    let app = MailApp::start(backend).await;
    let ann = app.user("ann").await;
    for name in [
        "ben@example.org",
        "ann@example.or",
        "ann@",
        "@ann",
        "a@b@ann@example.org",
    ] {
        let body = json!({"username": name, "password": PASSWORD, "email": "new@example.org"});
        app.http
            .post_anonymous("/api/signup_request", &body)
            .await
            .assert_validation_error("username", "invalid");
        ann.call("/api/account/update", &json!({"username": name}))
            .await
            .assert_validation_error("username", "invalid");
    }
    ann.call(
        "/api/account/update",
        &json!({"username": "ANN@example.org"}),
    )
    .await
    .success();
    assert_eq!(
        app.http.login("ANN@example.org", PASSWORD).await.status,
        200
    );
    app.http
        .login("ann@example.org", PASSWORD)
        .await
        .assert_unknown_user();
    app.sign_up("Ben@Example.org", "ben@example.org").await;
    // The second step cannot change the address to that of another user.
    let body = app
        .request_signup("cas@example.org", "cas@example.org")
        .await;
    app.http
        .post_anonymous(
            "/api/signup",
            &with_field(&body, "email", "dan@example.org"),
        )
        .await
        .assert_code_rejected();
}

async fn name_with_an_at_sign_stays_when_the_address_changes(backend: Backend) {
    let app = MailApp::start(backend).await;
    let ann = app.sign_up("ann@old.example", "ann@old.example").await;
    let body = app.request_email_change(&ann, "ann@new.example").await;
    let (_, data) = ann.call("/api/account/update_email", &body).await.success();
    assert_eq!(
        data["cc.users"][&ann.gid]["username"],
        json!("ann@old.example")
    );
    assert_eq!(
        app.http.login("ann@old.example", PASSWORD).await.status,
        200
    );
    // The user can set the same username again, or change it to the new address, but cannot return.
    let both = json!({"username": "ann@old.example", "name": "Ann"});
    ann.call("/api/account/update", &both).await.success();
    let other = json!({"username": "ANN@old.example"});
    ann.call("/api/account/update", &other)
        .await
        .assert_validation_error("username", "invalid");
    ann.call(
        "/api/account/update",
        &json!({"username": "ann@new.example"}),
    )
    .await
    .success();
    ann.call(
        "/api/account/update",
        &json!({"username": "ann@old.example"}),
    )
    .await
    .assert_validation_error("username", "invalid");
}

async fn one_of_ten_concurrent_signups_gets_the_username(backend: Backend) {
    let app = MailApp::start(backend).await;
    let mut bodies = Vec::new();
    for number in 0..10 {
        bodies.push(
            app.request_signup("ann", &format!("ann{number}@example.org"))
                .await,
        );
    }
    let answers = join_all(
        bodies
            .iter()
            .map(|body| app.http.post_anonymous("/api/signup", body)),
    )
    .await;
    let (succeeded, rejected): (Vec<_>, Vec<_>) =
        answers.iter().partition(|answer| answer.status == 200);
    assert_eq!(succeeded.len(), 1, "{answers:?}");
    rejected
        .iter()
        .for_each(|answer| answer.assert_validation_error("username", "unavailable"));
    let (result, data) = succeeded[0].success();
    let gid = result["user"].as_str().expect("a gid");
    let winner = answers
        .iter()
        .position(|answer| answer.status == 200)
        .expect("one");
    assert_eq!(
        data["cc.users"][gid]["email"],
        json!(format!("ann{winner}@example.org"))
    );
    assert_eq!(
        app.http.login("ann", PASSWORD).await.success().0["user"],
        json!(gid)
    );
}

async fn concurrent_renames_to_one_username_conflict(backend: Backend) {
    let app = App::start(backend).await;
    let mut users = Vec::new();
    for number in 0..6 {
        users.push(app.user(&format!("user{number}")).await);
    }
    let body = json!({"username": "ann", "name": "Won"});
    let answers = join_all(
        users
            .iter()
            .map(|user| user.call("/api/account/update", &body)),
    )
    .await;
    let (succeeded, rejected): (Vec<_>, Vec<_>) =
        answers.iter().partition(|answer| answer.status == 200);
    assert_eq!(succeeded.len(), 1, "{answers:?}");
    rejected
        .iter()
        .for_each(|answer| answer.assert_validation_error("username", "unavailable"));
    let names =
        join_all(users.iter().map(async |user| {
            user.init().await.success().1["cc.users"][&user.gid]["name"].clone()
        }));
    assert_eq!(
        names
            .await
            .iter()
            .filter(|name| **name == json!("Won"))
            .count(),
        1
    );
}
