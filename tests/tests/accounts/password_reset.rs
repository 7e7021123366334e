//! Tests that the two steps of a password reset (`POST /api/reset_password_request` and
//! `/api/reset_password`) set a new password and log the user in.

use doorward_tests::{
    Backend, MailApp, PASSWORD, User,
    assertions::{assert_method, assert_requires_strings},
    mail_app::{APP_URL, validation_code, with_codes, with_field, with_wrong_code, wrong},
    on_both_databases,
    snapshots::{assert_json_eq, redact},
};
use futures_util::future::join_all;
use serde_json::{Value, json};

on_both_databases![
    reset_by_username_sets_the_password_and_logs_in,
    reset_revokes_earlier_tokens_of_the_user_only,
    reset_by_address_mails_all_usernames,
    unknown_user_is_not_found,
    both_steps_report_missing_parameters_in_order,
    second_step_must_name_the_requested_user,
    fifth_wrong_attempt_is_the_last,
    code_works_once,
    request_that_is_repeated_has_codes_of_its_own,
    password_that_is_rejected_does_not_use_up_the_code,
    wrong_code_does_not_reveal_password_checks,
    user_deactivated_between_steps_gets_no_token,
    new_password_ends_the_code_that_several_accounts_share,
    reset_ends_a_throttle_wait,
];

const NEW: &str = "another battery staple 7";
const REQUEST: &str = "/api/reset_password_request";
const RESET: &str = "/api/reset_password";

fn request_body(name: &str) -> Value {
    json!({"username_or_email": name})
}

async fn reset_by_username_sets_the_password_and_logs_in(backend: Backend) {
    let app = MailApp::start(backend).await;
    let ann = app.user("ann").await;
    let herbarium = app.installation.create_project("ann", "Herbarium").await;
    ann.call("/api/account/update", &json!({"language": "nl"}))
        .await
        .success();

    let response = app.http.post_anonymous(REQUEST, &request_body("ann")).await;
    let code = validation_code(&response);
    let expected = json!({"validation_code": code, "usernames": ["ann"]});
    assert_eq!(
        response.json(),
        json!({"success": true, "result": expected, "data": {}})
    );
    assert_eq!(response.header("authorization"), None);
    let mail = app.smtp.mail_to("ann@example.org").await;
    assert_eq!(
        mail.subject,
        "Je code voor een nieuw wachtwoord bij Doorward"
    );
    assert!(
        mail.text.contains("\n- ann\n") && mail.text.ends_with(&format!("\n{APP_URL}\n")),
        "{}",
        mail.text
    );
    assert_eq!(app.http.login("ann", PASSWORD).await.status, 200);

    let body = with_codes(
        &json!({"username": "ann", "new_password": NEW}),
        &response,
        &mail.code(),
    );
    let answer = app.http.post_anonymous(RESET, &body).await;
    answer.success();
    let names = [(ann.gid.as_str(), "<ann>"), (&herbarium, "<herbarium>")];
    let login = app.http.login("ann", NEW).await;
    assert_json_eq(
        &redact(&answer.json(), &names),
        &redact(&login.json(), &names),
    );
    assert_eq!(
        answer.json()["data"]["cc.projects"][&herbarium]["name"],
        json!("Herbarium")
    );
    assert_eq!(app.http.init(&answer.token()).await.status, 200);
    app.http.login("ann", PASSWORD).await.assert_unknown_user();

    let notice = app.smtp.mail_to("ann@example.org").await;
    assert_eq!(notice.subject, "Je wachtwoord bij Doorward is gewijzigd");
    assert!(
        notice.text.contains("“ann”") && notice.text.ends_with(&format!("\n{APP_URL}\n")),
        "{}",
        notice.text
    );
}

async fn reset_revokes_earlier_tokens_of_the_user_only(backend: Backend) {
    let app = MailApp::start(backend).await;
    let ann = app.user("ann").await;
    let ben = app.user("ben").await;
    let project = app.installation.create_project("ann", "Herbarium").await;
    let robot = ann.create_api_user(&project, "Robot").await;
    let by_key = robot.auth().await.token();
    let second = app.http.login("ann", PASSWORD).await.token();
    let renewed = ann.init().await.token();
    let body = app.request_password_reset("ann", NEW).await;
    assert_eq!(
        ann.init().await.status,
        200,
        "the first step must not revoke tokens"
    );

    let token = app.http.post_anonymous(RESET, &body).await.token();
    for old in [&ann.token, &second, &renewed] {
        app.http.denied_soon(old).await;
    }
    for valid in [
        &token,
        &ben.token,
        &by_key,
        &app.http.login("ann", NEW).await.token(),
    ] {
        assert_eq!(app.http.init(valid).await.status, 200);
    }
    assert_eq!(robot.auth().await.status, 200);
}

async fn reset_by_address_mails_all_usernames(backend: Backend) {
    let app = MailApp::start(backend).await;
    app.user("ben").await;
    let zoe = app.user("zoe").await;
    let ann = same_address(&app, "ann", "zoe@example.org").await;
    let idle = same_address(&app, "idle", "zoe@example.org").await;
    app.installation.change_user("deactivate", &idle.gid).await;
    for email in ["zoe@example.org", "ZOE@Example.Org", " zoe@example.org "] {
        let response = app.http.post_anonymous(REQUEST, &request_body(email)).await;
        let expected =
            json!({"validation_code": validation_code(&response), "usernames": ["ann", "zoe"]});
        assert_eq!(
            response.json(),
            json!({"success": true, "result": expected, "data": {}})
        );
        let mail = app.smtp.mail_to("zoe@example.org").await;
        assert!(
            mail.text.contains("\n- ann\n- zoe\n") && !mail.text.contains("idle"),
            "{}",
            mail.text
        );

        // The code is valid for one of these users, and once.
        let body = with_codes(
            &json!({"username": "ben", "new_password": NEW}),
            &response,
            &mail.code(),
        );
        app.http
            .post_anonymous(RESET, &body)
            .await
            .assert_code_rejected();
        let answer = app
            .http
            .post_anonymous(RESET, &with_field(&body, "username", "ann"))
            .await;
        assert_eq!(answer.success().0["user"], json!(ann.gid));
        app.http
            .post_anonymous(RESET, &with_field(&body, "username", "zoe"))
            .await
            .assert_code_rejected();
        app.smtp.mail_to("zoe@example.org").await;
    }
    assert_eq!(zoe.init().await.status, 200);
    assert_eq!(app.http.login("zoe", PASSWORD).await.status, 200);
    // A request by username names only this user.
    assert_eq!(
        app.http
            .post_anonymous(REQUEST, &request_body("zoe"))
            .await
            .success()
            .0["usernames"],
        json!(["zoe"])
    );
}

/// Creates a user with an address that another user has already.
async fn same_address(app: &MailApp, username: &str, email: &str) -> User {
    let words = [
        "user",
        "create",
        "--username",
        username,
        "--email",
        email,
        "--password-stdin",
    ];
    let created = app
        .installation
        .cli(&words, PASSWORD)
        .await
        .assert_success();
    let gid = doorward_tests::installation::gid(&created);
    let token = app.http.login(username, PASSWORD).await.token();
    User {
        gid,
        username: username.to_owned(),
        token,
        http: app.http.clone(),
    }
}

async fn unknown_user_is_not_found(backend: Backend) {
    let app = MailApp::start(backend).await;
    let ann = app.user("ann").await;
    app.user("ben").await;
    app.user("cas").await;
    app.installation.change_user("deactivate", "ben").await;
    app.installation.change_user("delete", "cas").await;
    app.installation
        .cli(
            &["user", "create", "--username", "mute", "--password-stdin"],
            PASSWORD,
        )
        .await
        .assert_success();
    let project = app.installation.create_project("ann", "Herbarium").await;
    let robot = ann.create_api_user(&project, "Robot").await;
    let unknown = [
        "nobody",
        "nobody@example.org",
        "ben",
        "ben@example.org",
        "cas",
        "cas@example.org",
        "Ann",
        "mute",
        "",
        " ",
        "Robot",
        &robot.gid,
        &ann.gid,
        "no name",
        "@",
        &"x".repeat(100_000),
    ];
    for name in unknown {
        app.http
            .post_anonymous(REQUEST, &request_body(name))
            .await
            .assert_unprocessable("user_not_found");
    }
    assert_eq!(app.smtp.mails().len(), 0);
    let body = app.request_password_reset("ann", NEW).await;
    for name in ["nobody", "ben", "cas", "no name", "ann@example.org"] {
        app.http
            .post_anonymous(RESET, &with_field(&body, "username", name))
            .await
            .assert_unprocessable("user_not_found");
    }
    assert_eq!(app.http.post_anonymous(RESET, &body).await.status, 200);
}

async fn both_steps_report_missing_parameters_in_order(backend: Backend) {
    let app = MailApp::start(backend).await;
    assert_requires_strings(|| app.http.post(REQUEST), &["username_or_email"]).await;
    let second = [
        "username",
        "new_password",
        "validation_code",
        "verification_code",
    ];
    assert_requires_strings(|| app.http.post(RESET), &second).await;
    assert_method(&app.http, REQUEST).await;
    assert_method(&app.http, RESET).await;
}

async fn second_step_must_name_the_requested_user(backend: Backend) {
    let app = MailApp::start(backend).await;
    for name in ["ann", "ben"] {
        app.user(name).await;
    }
    let other = app.request_password_reset("ben", NEW).await;
    let body = app.request_password_reset("ann", NEW).await;
    let changes = [
        (
            "verification_code",
            json!(wrong(body["verification_code"].as_str().expect("a code"))),
        ),
        ("verification_code", other["verification_code"].clone()),
        (
            "validation_code",
            json!(wrong(body["validation_code"].as_str().expect("a code"))),
        ),
        ("validation_code", other["validation_code"].clone()),
        ("username", json!("ben")),
    ];
    for (name, value) in changes {
        let body = app.request_password_reset("ann", NEW).await;
        app.http
            .post_anonymous(RESET, &with_field(&body, name, value))
            .await
            .assert_code_rejected();
    }
    assert_eq!(app.http.login("ann", PASSWORD).await.status, 200);
    assert_eq!(app.http.login("ben", PASSWORD).await.status, 200);
    let body = app.request_password_reset("ann", NEW).await;
    let code = body["verification_code"]
        .as_str()
        .expect("a code")
        .to_lowercase();
    let body = with_field(
        &with_field(&body, "verification_code", code),
        "username",
        "\u{ff41}nn",
    );
    assert_eq!(app.http.post_anonymous(RESET, &body).await.status, 200);
}

async fn fifth_wrong_attempt_is_the_last(backend: Backend) {
    let app = MailApp::start(backend).await;
    for (username, attempts) in [("ann", 5), ("ben", 4)] {
        app.user(username).await;
        let body = app.request_password_reset(username, NEW).await;
        for _ in 0..attempts {
            app.http
                .post_anonymous(RESET, &with_wrong_code(&body))
                .await
                .assert_code_rejected();
        }
        let answer = app.http.post_anonymous(RESET, &body).await;
        if attempts == 5 {
            answer.assert_code_rejected();
            assert_eq!(app.http.login(username, PASSWORD).await.status, 200);
        } else {
            answer.token();
        }
    }
}

async fn code_works_once(backend: Backend) {
    let app = MailApp::start(backend).await;
    app.user("ann").await;
    let body = app.request_password_reset("ann", NEW).await;
    let answers = join_all((0..6).map(|_| app.http.post_anonymous(RESET, &body))).await;
    let (succeeded, rejected): (Vec<_>, Vec<_>) =
        answers.iter().partition(|answer| answer.status == 200);
    assert_eq!(succeeded.len(), 1, "{answers:?}");
    rejected
        .iter()
        .for_each(|answer| answer.assert_code_rejected());
    let other = with_field(&body, "new_password", "a third battery staple 5");
    app.http
        .post_anonymous(RESET, &other)
        .await
        .assert_code_rejected();
    assert_eq!(app.http.init(&succeeded[0].token()).await.status, 200);
    assert_eq!(app.http.login("ann", NEW).await.status, 200);
}

async fn request_that_is_repeated_has_codes_of_its_own(backend: Backend) {
    let app = MailApp::start(backend).await;
    app.user("ann").await;
    let first = app.request_password_reset("ann", NEW).await;
    let response = app
        .http
        .post_anonymous(REQUEST, &request_body("ANN@example.org"))
        .await;
    let second = with_codes(&first, &response, &app.mailed_code("ann@example.org").await);
    let mixed = with_field(
        &second,
        "verification_code",
        first["verification_code"].clone(),
    );
    app.http
        .post_anonymous(RESET, &mixed)
        .await
        .assert_code_rejected();
    // The attempts of the two requests are counted separately.
    for _ in 0..4 {
        app.http
            .post_anonymous(RESET, &with_wrong_code(&second))
            .await
            .assert_code_rejected();
    }
    app.http
        .post_anonymous(RESET, &second)
        .await
        .assert_code_rejected();
    assert_eq!(app.http.post_anonymous(RESET, &first).await.status, 200);
}

async fn password_that_is_rejected_does_not_use_up_the_code(backend: Backend) {
    let app = MailApp::start(backend).await;
    let ann = app.user("winterbottom").await;
    ann.call(
        "/api/account/update",
        &json!({"name": "Percival Arbuthnot"}),
    )
    .await
    .success();
    let body = app.request_password_reset("winterbottom", NEW).await;
    for weak in [
        "password",
        "1234567",
        "winterbottom",
        "winterbottom@example.org",
        "percivalarbuthnot",
        "Arbuthnot1",
    ] {
        app.http
            .post_anonymous(RESET, &with_field(&body, "new_password", weak))
            .await
            .assert_weak("new_password");
    }
    let long = with_field(&body, "new_password", "x".repeat(257));
    app.http
        .post_anonymous(RESET, &long)
        .await
        .assert_validation_error("new_password", "too_long");
    app.http
        .post_anonymous(RESET, &with_field(&body, "new_password", ""))
        .await
        .assert_validation_error("new_password", "invalid");
    assert_eq!(ann.init().await.status, 200);
    let spaced = with_field(&body, "new_password", format!(" {NEW} "));
    assert_eq!(app.http.post_anonymous(RESET, &spaced).await.status, 200);
    assert_eq!(
        app.http
            .login("winterbottom", &format!(" {NEW} "))
            .await
            .status,
        200
    );
    app.http
        .login("winterbottom", NEW)
        .await
        .assert_unknown_user();
}

async fn wrong_code_does_not_reveal_password_checks(backend: Backend) {
    let app = MailApp::start(backend).await;
    app.user("ann").await;
    let body = with_field(
        &with_wrong_code(&app.request_password_reset("ann", NEW).await),
        "new_password",
        "password",
    );
    app.http
        .post_anonymous(RESET, &body)
        .await
        .assert_code_rejected();
}

async fn user_deactivated_between_steps_gets_no_token(backend: Backend) {
    let app = MailApp::start(backend).await;
    app.user("ann").await;
    let body = app.request_password_reset("ann", NEW).await;
    app.installation.change_user("deactivate", "ann").await;
    app.http
        .post_anonymous(RESET, &body)
        .await
        .assert_unprocessable("user_not_found");
    app.installation.change_user("activate", "ann").await;
    assert_eq!(app.http.login("ann", PASSWORD).await.status, 200);
}

async fn new_password_ends_the_code_that_several_accounts_share(backend: Backend) {
    let app = MailApp::start(backend).await;
    let (ann, _) = (
        app.user("ann").await,
        same_address(&app, "anna", "ann@example.org").await,
    );
    let shared = async || {
        let response = app
            .http
            .post_anonymous(REQUEST, &request_body("ann@example.org"))
            .await;
        let second = json!({"username": "ann", "new_password": NEW});
        with_codes(
            &second,
            &response,
            &app.mailed_code("ann@example.org").await,
        )
    };
    let after_a_reset = shared().await;
    app.http
        .post_anonymous(RESET, &app.request_password_reset("ann", NEW).await)
        .await
        .success();
    app.http
        .post_anonymous(RESET, &after_a_reset)
        .await
        .assert_code_rejected();
    // This mail says that the password was changed.
    app.smtp.mail_to("ann@example.org").await;
    let after_a_change = shared().await;
    let token = app.http.login("ann", NEW).await.token();
    let ann = User { token, ..ann };
    ann.call("/api/account/update", &json!({"password": PASSWORD}))
        .await
        .success();
    app.http
        .post_anonymous(RESET, &after_a_change)
        .await
        .assert_code_rejected();
}

async fn reset_ends_a_throttle_wait(backend: Backend) {
    let few = [
        ("DOORWARD_LOGIN_FAILURES", "3"),
        ("DOORWARD_LOGIN_BACKOFF", "10m"),
        ("DOORWARD_LOGIN_BACKOFF_MAX", "1h"),
    ];
    let app = MailApp::with(backend, &few).await;
    app.user("ann").await;
    // Without known networks, all failed logins with the username are counted together.
    let forget = "DELETE FROM known_networks";
    doorward_tests::sql::execute(&app.installation.databases.auth, forget);
    for _ in 0..3 {
        app.http
            .login("ann", "a wrong password")
            .await
            .assert_unknown_user();
    }
    app.http.login("ann", PASSWORD).await.assert_throttled();
    app.http
        .post_anonymous(RESET, &app.request_password_reset("ann", NEW).await)
        .await
        .success();
    app.http.login("ann", NEW).await.success();
}
