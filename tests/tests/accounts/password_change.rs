//! Tests that `POST /api/account/update` changes the password and revokes earlier tokens.

use doorward_tests::{
    App, Backend, MailApp, PASSWORD, Services, User, on_both_databases,
    services::Role::Gateway,
    snapshots::{assert_json_eq, with_names},
};
use serde_json::{Value, json};

on_both_databases![
    new_password_revokes_earlier_tokens_and_returns_a_new_one,
    answer_has_one_token_also_when_the_old_one_is_due,
    password_change_mail_uses_the_owners_language,
    password_is_stored_unchanged,
    guessable_password_is_weak,
    current_password_that_is_sent_must_match,
    where_it_is_required_the_current_password_must_be_sent,
    guesses_at_the_current_password_are_throttled,
    new_password_reaches_every_gateway_within_a_second,
];

const NEW: &str = "another battery staple 7";
const PATH: &str = "/api/account/update";

fn with_current(current: impl Into<Value>) -> Value {
    json!({"password": NEW, "current_password": current.into()})
}

async fn new_password_revokes_earlier_tokens_and_returns_a_new_one(backend: Backend) {
    let app = App::start(backend).await;
    let ann = app.user("ann").await;
    let ben = app.user("ben").await;
    let project = app.installation.create_project("ann", "Herbarium").await;
    let robot = ann.create_api_user(&project, "Robot").await;
    let by_key = robot.auth().await.token();
    let other = app.http.login("ann", PASSWORD).await.token();
    let renewed = ann.init().await.token();

    let answer = ann.call(PATH, &json!({"password": NEW})).await;
    answer.success();
    let user = json!({
        "gid": "<ann>", "username": "ann", "email": "ann@example.org", "name": "Ann", "avatar": null, "status": "active",
        "options": {"language": "en", "timezone": "Europe/Amsterdam"}
    });
    let expected = json!({"success": true, "result": {"user": "<ann>"}, "data": {"cc.users": {"<ann>": user}}});
    assert_json_eq(
        &with_names(&answer.json(), &[(&ann.gid, "<ann>")]),
        &expected,
    );
    let token = answer.token();
    assert_eq!(app.http.init(&token).await.status, 200);
    for old in [&ann.token, &other, &renewed] {
        app.http.denied_soon(old).await;
    }
    ann.call(PATH, &json!({"name": "Anna"}))
        .await
        .assert_unauthenticated();
    app.http.login("ann", PASSWORD).await.assert_unknown_user();
    for valid in [
        &token,
        &app.http.login("ann", NEW).await.token(),
        &ben.token,
        &by_key,
    ] {
        assert_eq!(app.http.init(valid).await.status, 200);
    }
}

async fn answer_has_one_token_also_when_the_old_one_is_due(backend: Backend) {
    let app = App::with_settings(backend, &[("DOORWARD_TOKEN_RENEW_AFTER", "0s")]).await;
    let mut ann = app.user("ann").await;
    for password in [NEW, "a third battery staple 5", NEW] {
        let token = ann.call(PATH, &json!({"password": password})).await.token();
        app.http.denied_soon(&ann.token).await;
        assert_eq!(app.http.init(&token).await.status, 200);
        ann.token = token;
    }
    // A rejected change revokes no token, but its response can renew the token.
    let rejected = ann.call(PATH, &json!({"password": "password"})).await;
    assert_eq!(rejected.status, 422);
    for token in [
        rejected.header("authorization").unwrap_or(&ann.token),
        &ann.token,
    ] {
        assert_eq!(app.http.init(token).await.status, 200);
    }
}

async fn password_change_mail_uses_the_owners_language(backend: Backend) {
    let app = MailApp::start(backend).await;
    let ann = app.user("ann").await;
    let texts = [
        ("en", "Your Doorward password was changed"),
        ("nl-be", "Je wachtwoord bij Doorward is gewijzigd"),
        ("de", "Ihr Passwort bei Doorward wurde geändert"),
        ("fr", "Your Doorward password was changed"),
    ];
    let mut token = ann.token;
    for (language, subject) in texts {
        let set = app
            .http
            .post(PATH)
            .bearer(&token)
            .json(&json!({"language": language}))
            .send()
            .await;
        token = set.token();
        let body =
            json!({"password": format!("{NEW} {language}"), "name": "\u{202e}Bcc: <b>x</b>"});
        token = app
            .http
            .post(PATH)
            .bearer(&token)
            .json(&body)
            .send()
            .await
            .token();
        let mail = app.smtp.mail_to("ann@example.org").await;
        assert_eq!(mail.subject, subject);
        assert!(
            mail.text.contains("“ann”") || mail.text.contains("„ann“"),
            "{}",
            mail.text
        );
        assert!(
            !mail.text.contains(NEW) && !mail.raw.contains("\nBcc"),
            "{}",
            mail.raw
        );
        assert!(
            mail.text
                .ends_with(&format!("\n{}\n", doorward_tests::mail_app::APP_URL)),
            "{}",
            mail.text
        );
    }
    assert_eq!(
        app.smtp.mails().len(),
        texts.len(),
        "other changes must not cause a mail"
    );
}

async fn password_is_stored_unchanged(backend: Backend) {
    let app = App::start(backend).await;
    let mut ann = app.user("ann").await;
    let spaced = format!("  {NEW}\t ");
    ann.token = ann.call(PATH, &json!({"password": spaced})).await.token();
    assert_eq!(app.http.login("ann", &spaced).await.status, 200);
    for other in [spaced.trim(), spaced.trim_start(), spaced.trim_end()] {
        app.http.login("ann", other).await.assert_unknown_user();
    }
    let composed = "caf\u{e9} au lait, soir et matin";
    ann.token = ann
        .call(
            PATH,
            &json!({"password": composed.replace('\u{e9}', "e\u{301}")}),
        )
        .await
        .token();
    assert_eq!(app.http.login("ann", composed).await.status, 200);
    app.http
        .login("ann", &composed.replace('\u{e9}', "e"))
        .await
        .assert_unknown_user();
    app.http
        .login("ann", &composed.to_uppercase())
        .await
        .assert_unknown_user();
    let longest: String = "marmalade gluon é ".chars().cycle().take(256).collect();
    ann.token = ann.call(PATH, &json!({"password": longest})).await.token();
    assert_eq!(app.http.login("ann", &longest).await.status, 200);
    app.http
        .login("ann", &longest[..longest.len() - 1])
        .await
        .assert_unknown_user();
    ann.call(PATH, &json!({"password": format!("{longest}x")}))
        .await
        .assert_validation_error("password", "too_long");
}

async fn guessable_password_is_weak(backend: Backend) {
    let app = App::start(backend).await;
    let ann = app.user("winterbottom").await;
    let ann_name = json!({"name": "Percival Arbuthnot"});
    ann.call(PATH, &ann_name).await.success();
    for weak in [
        "password",
        "kV7-glu",
        "winterbottom1",
        "winterbottom@example.org",
        "percivalarbuthnot",
        "Arbuthnot1",
    ] {
        ann.call(PATH, &json!({"password": weak}))
            .await
            .assert_weak("password");
    }
    // The new username and name of the same call are user inputs, too.
    for (field, value) in [("username", "xylophagous"), ("name", "Xylophagous Beetle")] {
        let body = json!({"password": "Xylophagous1", field: value});
        ann.call(PATH, &body).await.assert_weak("password");
    }
    assert_eq!(ann.init().await.status, 200);
    assert_eq!(app.http.login("winterbottom", PASSWORD).await.status, 200);
}

async fn current_password_that_is_sent_must_match(backend: Backend) {
    let app = App::start(backend).await;
    let ann = app.user("ann").await;
    for wrong in [
        "",
        "wrong",
        &format!("{PASSWORD} "),
        NEW,
        &"x".repeat(10_000),
    ] {
        let answer = ann.call(PATH, &with_current(wrong)).await;
        answer.assert_validation_error("current_password", "incorrect");
    }
    for wrong in [json!(null), json!(1), json!([])] {
        let answer = ann.call(PATH, &with_current(wrong)).await;
        answer.assert_bad_parameter("Invalid parameter", "current_password");
    }
    // A wrong current password is also rejected if the call changes another field.
    for current in ["", "wrong"] {
        let answer = ann
            .call(PATH, &json!({"name": "Anna", "current_password": current}))
            .await;
        answer.assert_validation_error("current_password", "incorrect");
    }
    assert_eq!(
        ann.init().await.success().1["cc.users"][&ann.gid]["name"],
        json!("Ann")
    );
    ann.call(PATH, &json!({"name": "Anna", "current_password": PASSWORD}))
        .await
        .success();
    assert_eq!(
        ann.init().await.success().1["cc.users"][&ann.gid]["name"],
        json!("Anna")
    );
    let token = ann.call(PATH, &with_current(PASSWORD)).await.token();
    assert_eq!(app.http.init(&token).await.status, 200);
    ann.assert_denied_eventually().await;
    assert_eq!(app.http.login("ann", NEW).await.status, 200);
}

async fn where_it_is_required_the_current_password_must_be_sent(backend: Backend) {
    let app = App::with_settings(backend, &[("DOORWARD_REQUIRE_CURRENT_PASSWORD", "true")]).await;
    let ann = app.user("ann").await;
    for body in [
        json!({"password": NEW}),
        json!({"password": "password"}),
        json!({"password": NEW, "name": "Anna"}),
    ] {
        ann.call(PATH, &body)
            .await
            .assert_bad_parameter("Missing parameter", "current_password");
    }
    ann.call(PATH, &with_current("wrong"))
        .await
        .assert_validation_error("current_password", "incorrect");
    let (_, data) = ann.call(PATH, &json!({"language": "nl"})).await.success();
    assert_eq!(data["cc.users"][&ann.gid]["name"], json!("Ann"));
    let token = ann.call(PATH, &with_current(PASSWORD)).await.token();
    ann.assert_denied_eventually().await;
    assert_eq!(app.http.init(&token).await.status, 200);
}

// A stolen token must not help to guess the password.
async fn guesses_at_the_current_password_are_throttled(backend: Backend) {
    let settings = [
        ("DOORWARD_LOGIN_FAILURES", "3"),
        ("DOORWARD_LOGIN_BACKOFF", "10m"),
        ("DOORWARD_LOGIN_BACKOFF_MAX", "1h"),
    ];
    let app = App::with_settings(backend, &settings).await;
    let ann = app.user("ann").await;
    for _ in 0..3 {
        ann.call(PATH, &with_current("wrong"))
            .await
            .assert_validation_error("current_password", "incorrect");
    }
    ann.call(PATH, &with_current(PASSWORD))
        .await
        .assert_throttled();
    assert_eq!(
        ann.call(PATH, &json!({"name": "Anna"})).await.status,
        200,
        "other changes must still work"
    );
}

async fn new_password_reaches_every_gateway_within_a_second(backend: Backend) {
    let split = Services::start(backend).await;
    let gateway = split.start_replica(Gateway, &[]).await;
    let here = User::create(&split.installation, &split.http, "ann").await;
    let there = gateway.http().login("ann", PASSWORD).await.token();
    let token = here.call(PATH, &json!({"password": NEW})).await.token();
    for gateway in [&gateway.http(), &split.http] {
        for old in [&there, &here.token] {
            gateway.denied_within_a_second(old).await;
        }
        assert_eq!(gateway.init(&token).await.status, 200);
        gateway.login("ann", PASSWORD).await.assert_unknown_user();
    }
}
