//! Tests that the two steps of a signup (`POST /api/signup_request` and `/api/signup`) create an
//! account. Rejected passwords and addresses are in `signup_fields.rs`, usernames in
//! `usernames.rs`.

use doorward_tests::{
    Backend, MailApp, PASSWORD,
    assertions::{assert_method, assert_requires_strings},
    mail_app::{APP_URL, validation_code, with_codes, with_field, with_wrong_code, wrong},
    on_both_databases,
    snapshots::{assert_json_eq, redact},
};
use futures_util::future::join_all;
use serde_json::json;

on_both_databases![
    signup_creates_an_account_and_logs_in,
    both_steps_report_missing_parameters_in_order,
    second_step_must_repeat_the_first,
    equivalent_spellings_are_accepted,
    fifth_wrong_attempt_is_the_last,
    four_wrong_attempts_are_allowed,
    code_works_once,
    one_of_concurrent_signups_creates_the_account,
    request_that_is_repeated_has_codes_of_its_own,
    address_with_account_gets_a_notice_without_code,
    members_of_the_body_that_are_not_asked_for_change_nothing,
    mail_is_in_the_language_of_the_browser,
];

async fn signup_creates_an_account_and_logs_in(backend: Backend) {
    let app = MailApp::start(backend).await;
    app.user("ben").await;
    let first = json!({"username": "ann", "password": PASSWORD, "email": "Ann@Example.org"});
    let response = app.http.post_anonymous("/api/signup_request", &first).await;
    let code = validation_code(&response);
    assert_eq!(
        response.json(),
        json!({"success": true, "result": {"validation_code": code}, "data": {}})
    );
    assert_eq!(response.header("authorization"), None);
    app.http.login("ann", PASSWORD).await.assert_unknown_user();

    let mail = app.smtp.mail_to("Ann@Example.org").await;
    assert_eq!(mail.subject, "Your code for a new Doorward account");
    assert_eq!(mail.header("From"), "Doorward <no-reply@mail.example.org>");
    let expected = format!(
        "This code confirms your email address for a new Doorward account:\n\n{}\n\n\
        This code expires in 15 minutes and works once. Don't share it with anyone.\n\n\
        If you didn't request an account, ignore this email. Without the code, no account is \
        created.\n\n{APP_URL}\n",
        mail.code()
    );
    assert_eq!(mail.text, expected);
    assert!(
        mail.html.contains(&format!("<a href=\"{APP_URL}\">")),
        "{}",
        mail.html
    );

    let answer = app
        .http
        .post_anonymous("/api/signup", &with_codes(&first, &response, &mail.code()))
        .await;
    let gid = answer.json()["result"]["user"]
        .as_str()
        .expect("a gid")
        .to_owned();
    let expected = json!({
        "success": true,
        "result": {"user": "<ann>", "user_projects": {}, "cc.version": "<version>", "cc.cursor": "<cursor>"},
        "data": {
            "cc.users": {
                "<ann>": {
                    "gid": "<ann>", "username": "ann", "email": "Ann@Example.org", "name": "", "avatar": null,
                    "status": "active", "options": {"language": "en", "timezone": "Europe/Amsterdam"}
                }
            },
            "cc.projects": {}, "cc.projects_members": [], "cc.languages": "<languages>"
        }
    });
    answer.success();
    assert_json_eq(&redact(&answer.json(), &[(&gid, "<ann>")]), &expected);
    for same in [
        app.http.init(&answer.token()).await,
        app.http.login("ann", PASSWORD).await,
    ] {
        assert_json_eq(&redact(&same.json(), &[(&gid, "<ann>")]), &expected);
    }
    assert_eq!(app.smtp.mails().len(), 1);
    let log = app.process.stderr();
    for secret in [&code, &mail.code(), PASSWORD, &answer.token()] {
        assert!(!log.contains(secret), "{secret} is in the log: {log}");
    }
}

async fn both_steps_report_missing_parameters_in_order(backend: Backend) {
    let app = MailApp::start(backend).await;
    let first = ["username", "password", "email"];
    assert_requires_strings(|| app.http.post("/api/signup_request"), &first).await;
    let second = [
        "username",
        "password",
        "email",
        "validation_code",
        "verification_code",
    ];
    assert_requires_strings(|| app.http.post("/api/signup"), &second).await;
    assert_method(&app.http, "/api/signup_request").await;
    assert_method(&app.http, "/api/signup").await;
    assert_eq!(app.smtp.mails().len(), 0);
}

async fn second_step_must_repeat_the_first(backend: Backend) {
    let app = MailApp::start(backend).await;
    let body = app.request_signup("ann", "ann@example.org").await;
    let other = app.request_signup("ben", "ben@example.org").await;
    let changes = [
        (
            "verification_code",
            json!(wrong(body["verification_code"].as_str().expect("a code"))),
        ),
        ("verification_code", other["verification_code"].clone()),
        ("verification_code", json!("")),
        (
            "validation_code",
            json!(wrong(body["validation_code"].as_str().expect("a code"))),
        ),
        ("validation_code", other["validation_code"].clone()),
        ("validation_code", json!("")),
        ("username", json!("anna")),
        ("username", json!("Ann")),
        ("username", json!("")),
        ("username", json!("no name")),
        ("password", json!(format!("{PASSWORD}!"))),
        ("password", json!(format!("{PASSWORD} "))),
        ("password", json!("")),
        ("password", json!("x".repeat(300))),
        ("email", json!("anna@example.org")),
        ("email", json!("ann")),
        ("email", json!("")),
    ];
    for (name, value) in changes {
        // Each attempt needs a new code, because wrong attempts are counted per code.
        let body = app.request_signup("ann", "ann@example.org").await;
        let answer = app
            .http
            .post_anonymous("/api/signup", &with_field(&body, name, value.clone()))
            .await;
        assert_eq!(answer.status, 422, "{name}: {value}: {answer:?}");
        answer.assert_code_rejected();
    }
    app.http.login("ann", PASSWORD).await.assert_unknown_user();
    // Failed attempts do not affect other codes.
    for body in [app.request_signup("ann", "ann@example.org").await, other] {
        assert_eq!(
            app.http.post_anonymous("/api/signup", &body).await.status,
            200
        );
    }
}

async fn equivalent_spellings_are_accepted(backend: Backend) {
    let app = MailApp::start(backend).await;
    let password = "caf\u{e9} au lait, soir et matin";
    let first = json!({"username": "Zo\u{eb}", "password": password, "email": "Zoe@Example.org"});
    let response = app.http.post_anonymous("/api/signup_request", &first).await;
    let body = with_codes(&first, &response, &app.mailed_code("Zoe@Example.org").await);
    let code = body["verification_code"]
        .as_str()
        .expect("a code")
        .to_lowercase();
    let body = with_field(&body, "verification_code", format!(" {code} "));
    let body = with_field(
        &with_field(&body, "username", "\u{ff3a}oe\u{308}"),
        "email",
        "zOE@eXAMPLE.ORG",
    );
    let body = with_field(&body, "password", "cafe\u{301} au lait, soir et matin");
    let (result, data) = app
        .http
        .post_anonymous("/api/signup", &body)
        .await
        .success();
    let user = &data["cc.users"][result["user"].as_str().expect("a gid")];
    assert_eq!(user["username"], json!("Zo\u{eb}"));
    assert!(
        user["email"]
            .as_str()
            .is_some_and(|email| email.eq_ignore_ascii_case("zoe@example.org")),
        "{user}"
    );
    for password in [
        password,
        "cafe\u{301} au lait, soir et matin",
        "caf\u{e9}\u{a0}au\u{3000}lait, soir et matin",
    ] {
        assert_eq!(app.http.login("Zoe\u{308}", password).await.status, 200);
    }
}

async fn fifth_wrong_attempt_is_the_last(backend: Backend) {
    let app = MailApp::start(backend).await;
    let body = app.request_signup("ann", "ann@example.org").await;
    let wrongs = [
        with_wrong_code(&body),
        with_field(&body, "username", "ben"),
        with_field(&body, "password", format!("{PASSWORD}!")),
        with_field(&body, "email", "ben@example.org"),
        with_wrong_code(&body),
    ];
    for wrong in wrongs {
        app.http
            .post_anonymous("/api/signup", &wrong)
            .await
            .assert_code_rejected();
    }
    for _ in 0..2 {
        app.http
            .post_anonymous("/api/signup", &body)
            .await
            .assert_code_rejected();
    }
    // A new request has new attempts.
    let body = app.request_signup("ann", "ann@example.org").await;
    assert_eq!(
        app.http.post_anonymous("/api/signup", &body).await.status,
        200
    );
}

async fn four_wrong_attempts_are_allowed(backend: Backend) {
    let app = MailApp::start(backend).await;
    let body = app.request_signup("ann", "ann@example.org").await;
    for _ in 0..2 {
        app.http
            .post_anonymous("/api/signup", &with_wrong_code(&body))
            .await
            .assert_code_rejected();
        app.http
            .post_anonymous("/api/signup", &with_field(&body, "password", "another one"))
            .await
            .assert_code_rejected();
        // An unknown validation code belongs to no request, so this attempt is not counted.
        app.http
            .post_anonymous("/api/signup", &with_field(&body, "validation_code", "x"))
            .await
            .assert_code_rejected();
    }
    assert_eq!(
        app.http.post_anonymous("/api/signup", &body).await.status,
        200
    );
}

async fn code_works_once(backend: Backend) {
    let app = MailApp::start(backend).await;
    let body = app.request_signup("ann", "ann@example.org").await;
    let gid = app
        .http
        .post_anonymous("/api/signup", &body)
        .await
        .success()
        .0["user"]
        .clone();
    app.http
        .post_anonymous("/api/signup", &body)
        .await
        .assert_code_rejected();
    // A used or unused signup code does not work for a password reset.
    let reset = json!({
        "username": "ann", "new_password": "another battery staple 7",
        "validation_code": body["validation_code"], "verification_code": body["verification_code"]
    });
    app.http
        .post_anonymous("/api/reset_password", &reset)
        .await
        .assert_code_rejected();
    let ben = app.request_signup("ben", "ben@example.org").await;
    let reset = with_field(
        &with_field(&reset, "validation_code", ben["validation_code"].clone()),
        "verification_code",
        ben["verification_code"].clone(),
    );
    app.http
        .post_anonymous("/api/reset_password", &reset)
        .await
        .assert_code_rejected();
    assert_eq!(
        app.http.login("ann", PASSWORD).await.success().0["user"],
        gid
    );
    assert_eq!(
        app.http.post_anonymous("/api/signup", &ben).await.status,
        200
    );
}

async fn one_of_concurrent_signups_creates_the_account(backend: Backend) {
    let app = MailApp::start(backend).await;
    let body = app.request_signup("ann", "ann@example.org").await;
    let answers = join_all((0..8).map(|_| app.http.post_anonymous("/api/signup", &body))).await;
    let (created, rejected): (Vec<_>, Vec<_>) =
        answers.iter().partition(|answer| answer.status == 200);
    assert_eq!(created.len(), 1, "{answers:?}");
    rejected
        .iter()
        .for_each(|answer| answer.assert_code_rejected());
    assert_eq!(app.http.init(&created[0].token()).await.status, 200);
}

async fn request_that_is_repeated_has_codes_of_its_own(backend: Backend) {
    let app = MailApp::start(backend).await;
    let first = app.request_signup("ann", "ann@example.org").await;
    let second = app.request_signup("anna", "ANN@example.org").await;
    // A validation code is rejected with the verification code of another request.
    let mixed = with_field(
        &second,
        "verification_code",
        first["verification_code"].clone(),
    );
    app.http
        .post_anonymous("/api/signup", &mixed)
        .await
        .assert_code_rejected();
    assert_eq!(
        app.http.post_anonymous("/api/signup", &first).await.status,
        200
    );
    app.http
        .post_anonymous("/api/signup", &second)
        .await
        .assert_code_rejected();
    app.http.login("anna", PASSWORD).await.assert_unknown_user();
    assert_eq!(app.http.login("ann", PASSWORD).await.status, 200);
}

// Neither the response to the first step nor the second step reveals that the address has an
// account.
async fn address_with_account_gets_a_notice_without_code(backend: Backend) {
    let app = MailApp::start(backend).await;
    let ann = app.user("ann").await;
    let first = json!({"username": "annie", "password": PASSWORD, "email": "ANN@example.org"});
    let response = app.http.post_anonymous("/api/signup_request", &first).await;
    let unknown = app
        .http
        .post_anonymous(
            "/api/signup_request",
            &with_field(&first, "email", "new@example.org"),
        )
        .await;
    assert_eq!(
        (response.status, response.body.len()),
        (unknown.status, unknown.body.len())
    );
    validation_code(&response);

    let mail = app.smtp.mail_to("ANN@example.org").await;
    assert_eq!(mail.subject, "You already have a Doorward account");
    let expected = format!(
        "Someone tried to create a Doorward account with your email address, but you already have \
        one. Usernames registered with this email address:\n\n- ann\n\n\
        Log in with your username. If you forgot your password, you can set a new one on the login \
        page.\n\nIf this wasn't you, ignore this email. Nothing has changed.\n\n{APP_URL}\n"
    );
    assert_eq!(mail.text, expected);
    for code in ["AAAAAA", "", &app.mailed_code("new@example.org").await] {
        app.http
            .post_anonymous("/api/signup", &with_codes(&first, &response, code))
            .await
            .assert_code_rejected();
    }
    app.http
        .login("annie", PASSWORD)
        .await
        .assert_unknown_user();
    assert_eq!(ann.init().await.status, 200);
}

async fn members_of_the_body_that_are_not_asked_for_change_nothing(backend: Backend) {
    let app = MailApp::start(backend).await;
    let ben = app.user("ben").await;
    let project = app.installation.create_project("ben", "Atlas").await;
    let body = app.request_signup("ann", "ann@example.org").await;
    let more = json!({
        "gid": ben.gid, "user": ben.gid, "user_gid": ben.gid, "signup_gid": ben.gid, "name": "Root", "status": "invited",
        "roles": ["owner"], "project": project, "avatar": "x.png", "language": "nl", "options": {"language": "nl"}
    });
    let mut all = body.clone();
    all.as_object_mut()
        .expect("an object")
        .extend(more.as_object().expect("an object").clone());
    let (result, data) = app.http.post_anonymous("/api/signup", &all).await.success();
    let gid = result["user"].as_str().expect("a gid");
    assert_ne!(gid, ben.gid);
    assert_eq!(data["cc.users"][gid]["name"], json!(""));
    assert_eq!(data["cc.users"][gid]["options"]["language"], json!("en"));
    assert_eq!(
        (&data["cc.projects"], &data["cc.projects_members"]),
        (&json!({}), &json!([]))
    );
}

async fn mail_is_in_the_language_of_the_browser(backend: Backend) {
    let app = MailApp::start(backend).await;
    for (accept_language, subject) in [
        (
            "nl-BE,en;q=0.5",
            "Je code voor een nieuw account bij Doorward",
        ),
        ("de", "Ihr Code für ein neues Konto bei Doorward"),
        ("tlh", "Your code for a new Doorward account"),
        ("\u{e9};;q=\u{fc}", "Your code for a new Doorward account"),
    ] {
        let body = json!({"username": "ann", "password": PASSWORD, "email": "ann@example.org"});
        let call = app
            .http
            .post("/api/signup_request")
            .header("accept-language", accept_language)
            .json(&body);
        assert_eq!(call.send().await.status, 200);
        assert_eq!(app.smtp.mail_to("ann@example.org").await.subject, subject);
    }
}
