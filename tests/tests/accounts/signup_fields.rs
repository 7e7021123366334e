//! Tests which passwords and email addresses a signup accepts. Usernames are in `usernames.rs`.

use doorward_tests::{
    Backend, MailApp, PASSWORD, Response,
    mail_app::{validation_code, with_codes},
    on_both_databases,
};
use serde_json::json;

on_both_databases![
    guessable_password_is_weak,
    password_has_8_to_256_characters,
    password_is_stored_unchanged,
    malformed_address_is_rejected,
    unusual_addresses_get_their_mail,
    first_of_several_errors_is_reported,
];

async fn ask(app: &MailApp, password: &str, email: &str) -> Response {
    let body = json!({"username": "winterbottom", "password": password, "email": email});
    app.http.post_anonymous("/api/signup_request", &body).await
}

async fn guessable_password_is_weak(backend: Backend) {
    let app = MailApp::start(backend).await;
    let weak = [
        "password",
        "12345678",
        "qwertyuiop",
        "aaaaaaaaaaaaaaaa",
        "Passw0rd!",
        "1234567",
        "\u{1f980}",
        // Passwords made of the username and the address.
        "winterbottom",
        "Winterbottom1",
        "percivalwinter",
        "percival@arboretum.example",
        "PERCIVAL@arboretum.example",
    ];
    for password in weak {
        let answer = ask(&app, password, "percival@arboretum.example").await;
        assert_eq!(answer.status, 422, "{password}");
        answer.assert_weak("password");
    }
    let short = ask(&app, "kV7-glu", "percival@arboretum.example").await;
    short.assert_weak("password");
    let feedback = json!({
        "warning": "This is too short.",
        "suggestions": ["Use at least 8 characters. A few uncommon words are easy to remember."]
    });
    assert_eq!(
        short.json()["result"]["info"],
        json!({"password": "weak", "feedback": feedback})
    );
    ask(&app, "", "percival@arboretum.example")
        .await
        .assert_validation_error("password", "invalid");
    assert_eq!(app.smtp.mails().len(), 0);
}

async fn password_has_8_to_256_characters(backend: Backend) {
    let app = MailApp::start(backend).await;
    let words = |chars: usize| {
        "correct horse battery staple "
            .chars()
            .cycle()
            .take(chars - 3)
            .chain("é🦀7".chars())
    };
    for (chars, is_valid) in [(257, false), (300_000, false), (256, true)] {
        let password: String = words(chars).collect();
        assert_eq!(password.chars().count(), chars);
        let answer = ask(&app, &password, "ann@example.org").await;
        if !is_valid {
            answer.assert_validation_error("password", "too_long");
            continue;
        }
        let first =
            json!({"username": "winterbottom", "password": password, "email": "ann@example.org"});
        let body = with_codes(&first, &answer, &app.mailed_code("ann@example.org").await);
        assert_eq!(
            app.http.post_anonymous("/api/signup", &body).await.status,
            200
        );
        assert_eq!(app.http.login("winterbottom", &password).await.status, 200);
        app.http
            .login("winterbottom", &words(255).collect::<String>())
            .await
            .assert_unknown_user();
        app.http
            .login("winterbottom", &format!("{password}x"))
            .await
            .assert_unknown_user();
    }
    // Any eight characters can be guessed in a hundred million attempts, which is too weak.
    let eight = json!({"username": "ben", "password": "xQ7vL2zK", "email": "ben@example.org"});
    app.http
        .post_anonymous("/api/signup_request", &eight)
        .await
        .assert_weak("password");
    let shortest = json!({"username": "ben", "password": "xQ7vL2zKp", "email": "ben@example.org"});
    validation_code(
        &app.http
            .post_anonymous("/api/signup_request", &shortest)
            .await,
    );
}

async fn password_is_stored_unchanged(backend: Backend) {
    let app = MailApp::start(backend).await;
    let password = "  marmalade \t gluon\u{0}kV7 \u{202e} ";
    let first = json!({"username": "ann", "password": password, "email": "ann@example.org"});
    let response = app.http.post_anonymous("/api/signup_request", &first).await;
    let body = with_codes(&first, &response, &app.mailed_code("ann@example.org").await);
    assert_eq!(
        app.http.post_anonymous("/api/signup", &body).await.status,
        200
    );
    assert_eq!(app.http.login("ann", password).await.status, 200);
    for other in [
        password.trim(),
        password.trim_start(),
        password.trim_end(),
        &password.replace('\u{0}', ""),
    ] {
        app.http.login("ann", other).await.assert_unknown_user();
    }
}

async fn malformed_address_is_rejected(backend: Backend) {
    let app = MailApp::start(backend).await;
    let long = [
        format!("{}@example.org", "x".repeat(65)),
        format!("ann@{}.org", "x".repeat(64)),
        format!("ann@{}org", "example.".repeat(31)),
        "x".repeat(100_000),
        format!("{}@example.org", "x".repeat(100_000)),
    ];
    let bad = [
        "",
        " ",
        "@",
        "ann",
        "ann@",
        "@example.org",
        "ann@localhost",
        "ann@example..org",
        "ann@.example.org",
        "ann@-example.org",
        "ann@example-.org",
        "ann@exa mple.org",
        "ann@example.org.",
        "ann@[127.0.0.1]",
        "ann@127.0.0.1",
        "ann@@example.org",
        "ann@ben@example.org",
        ".ann@example.org",
        "ann.@example.org",
        "a..nn@example.org",
        "a b@example.org",
        "a,b@example.org",
        "a:b;c@example.org",
        "(a)ann@example.org",
        "\"ann@example.org",
        "\"a\"b\"@example.org",
        "Ann <ann@example.org>",
        "<ann@example.org>",
        "ann@example.org, ben@example.org",
        "ann@example.org;ben@example.org",
        "mailto:ann@example.org",
        "ann@example.org\r\nBcc: ben@example.org",
        "ann@exam\nple.org",
        "ann\u{0}@example.org",
        "\"a\u{0}nn\"@example.org",
        "ann@exam_ple.org",
        "ann\u{200b}@example.org",
        "ann\u{202e}@example.org",
        "ann\u{feff}@example.org",
        "ann@example.o\u{202e}rg",
    ];
    let mut accepted = Vec::new();
    for email in bad.iter().copied().chain(long.iter().map(String::as_str)) {
        let answer = ask(&app, PASSWORD, email).await;
        if answer.status == 200 {
            accepted.push(email.to_owned());
        } else {
            answer.assert_validation_error("email", "invalid");
        }
    }
    assert_eq!(accepted, [""; 0], "accepted as addresses");
    assert_eq!(app.smtp.mails().len(), 0);
}

async fn unusual_addresses_get_their_mail(backend: Backend) {
    let app = MailApp::start(backend).await;
    let longest = format!(
        "{}@{}.{}.{}.example",
        "l".repeat(64),
        "d".repeat(63),
        "d".repeat(63),
        "d".repeat(53)
    );
    assert_eq!(longest.len(), 254);
    let odd = [
        ("ann+tag@example.org", "ann+tag@example.org"),
        ("ann@mail.sub.example.org", "ann@mail.sub.example.org"),
        ("o'brien@example.org", "o'brien@example.org"),
        (
            "!#$%&'*+-/=?^_`{|}~@example.org",
            "!#$%&'*+-/=?^_`{|}~@example.org",
        ),
        ("a@b.co", "a@b.co"),
        ("1@2.example", "1@2.example"),
        ("a.b.c.d@example.org", "a.b.c.d@example.org"),
        ("\"a b\"@example.org", "\"a b\"@example.org"),
        ("\"a@b\"@example.org", "\"a@b\"@example.org"),
        ("\"<script>\"@example.org", "\"<script>\"@example.org"),
        ("ann@bücher.example", "ann@xn--bcher-kva.example"),
        ("ben@xn--bcher-kva.example", "ben@xn--bcher-kva.example"),
        ("jürgen@example.org", "jürgen@example.org"),
        ("用户@例子.example", "用户@xn--fsqu00a.example"),
        (" spaced@example.org ", "spaced@example.org"),
        (longest.as_str(), longest.as_str()),
    ];
    for (position, (email, sent_to)) in odd.iter().enumerate() {
        let username = format!("user{position}");
        let first = json!({"username": username, "password": PASSWORD, "email": email});
        let response = app.http.post_anonymous("/api/signup_request", &first).await;
        assert_eq!(response.status, 200, "{email}: {response:?}");
        let body = with_codes(&first, &response, &app.mailed_code(sent_to).await);
        let (result, data) = app
            .http
            .post_anonymous("/api/signup", &body)
            .await
            .success();
        let user = &data["cc.users"][result["user"].as_str().expect("a gid")];
        assert_eq!(user["email"], json!(email.trim()));
        // The account is found by its address.
        let response = app
            .http
            .post_anonymous(
                "/api/reset_password_request",
                &json!({"username_or_email": email}),
            )
            .await;
        assert!(
            response.success().0["usernames"]
                .as_array()
                .is_some_and(|all| all.contains(&json!(username))),
            "{response:?}"
        );
        app.mailed_code(sent_to).await;
    }
}

async fn first_of_several_errors_is_reported(backend: Backend) {
    let app = MailApp::start(backend).await;
    let body = |username: &str, password: &str| json!({"username": username, "password": password, "email": "x"});
    let ask = async |body| app.http.post_anonymous("/api/signup_request", &body).await;
    ask(body("no name", "x"))
        .await
        .assert_validation_error("username", "invalid");
    ask(body("ann", "x")).await.assert_weak("password");
    ask(body("ann", PASSWORD))
        .await
        .assert_validation_error("email", "invalid");
}
