//! Tests that the two steps of a change of address (`POST /api/account/update_email_request` and
//! `/api/account/update_email`) verify the new address by a code.

use doorward_tests::{
    Backend, MailApp, PASSWORD,
    assertions::{assert_requires_account, assert_requires_strings},
    mail_app::{APP_URL, validation_code, with_codes, with_field, with_wrong_code, wrong},
    on_both_databases,
    snapshots::{assert_json_eq, with_names},
};
use futures_util::future::join_all;
use serde_json::{Value, json};

on_both_databases![
    new_address_is_verified_and_old_one_notified,
    both_mails_use_the_users_language,
    passwords_are_reset_by_the_new_address_and_not_by_the_old_one,
    codes_to_the_old_address_become_invalid,
    both_steps_report_missing_parameters_in_order,
    malformed_address_is_rejected,
    second_step_must_repeat_the_first,
    code_is_valid_for_the_requester_only,
    fifth_wrong_attempt_is_the_last,
    code_works_once,
    each_request_has_its_own_codes,
    user_without_address_can_set_one,
    calls_require_an_account,
];

const REQUEST: &str = "/api/account/update_email_request";
const UPDATE: &str = "/api/account/update_email";

async fn new_address_is_verified_and_old_one_notified(backend: Backend) {
    let app = MailApp::start(backend).await;
    let ann = app.user("ann").await;
    let ben = app.user("ben").await;
    let project = app.installation.create_project("ann", "Herbarium").await;
    app.installation.add_member(&project, "ben").await;

    let first = json!({"email": "Ann@New.example"});
    let response = ann.call(REQUEST, &first).await;
    let expected = json!({"validation_code": validation_code(&response)});
    assert_eq!(
        response.json(),
        json!({"success": true, "result": expected, "data": {}})
    );
    assert_eq!(response.header("authorization"), None, "no renewal is due");
    let mail = app.smtp.mail_to("Ann@New.example").await;
    assert_eq!(
        mail.subject,
        "Your code for a new email address at Doorward"
    );
    let expected = format!(
        "This code confirms this email address for the Doorward account “ann”:\n\n{}\n\n\
        This code expires in 15 minutes and works once. Don't share it with anyone.\n\n\
        If you didn't request this change, ignore this email. Without the code, nothing \
        changes.\n\n{APP_URL}\n",
        mail.code()
    );
    assert_eq!(mail.text, expected);
    assert_eq!(
        ann.init().await.success().1["cc.users"][&ann.gid]["email"],
        json!("ann@example.org")
    );
    assert_eq!(app.smtp.mails().len(), 1);

    let answer = ann
        .call(UPDATE, &with_codes(&first, &response, &mail.code()))
        .await;
    answer.success();
    assert_eq!(answer.header("authorization"), None, "no renewal is due");
    let user = json!({
        "gid": "<ann>", "username": "ann", "email": "Ann@New.example", "name": "Ann", "avatar": null, "status": "active",
        "options": {"language": "en", "timezone": "Europe/Amsterdam"}
    });
    let expected = json!({"success": true, "result": {"user": "<ann>"}, "data": {"cc.users": {"<ann>": user}}});
    assert_json_eq(
        &with_names(&answer.json(), &[(&ann.gid, "<ann>")]),
        &expected,
    );
    let notice = app.smtp.mail_to("ann@example.org").await;
    assert_eq!(notice.subject, "Your email address at Doorward was changed");
    assert!(
        notice.text.contains("A***@New.example") && !notice.raw.contains("Ann@New"),
        "{}",
        notice.text
    );
    assert!(
        notice.text.ends_with(&format!("\n{APP_URL}\n")),
        "{}",
        notice.text
    );

    let init = ann.init().await;
    assert_eq!(
        init.success().1["cc.users"][&ann.gid],
        answer.json()["data"]["cc.users"][&ann.gid]
    );
    let own = init.json()["data"]["cc.projects_members"].to_string();
    assert!(
        own.contains(r#""email":"Ann@New.example""#) && !own.contains("ann@example.org"),
        "{own}"
    );
    let seen_by_ben = ben.init().await.text();
    assert!(
        !seen_by_ben.contains("New.example") && !seen_by_ben.contains("ann@"),
        "{seen_by_ben}"
    );
    assert_eq!(app.http.login("ann", PASSWORD).await.status, 200);
    assert_eq!(app.smtp.mails().len(), 2);
}

async fn both_mails_use_the_users_language(backend: Backend) {
    let app = MailApp::start(backend).await;
    let ann = app.user("ann").await;
    let mut old = "ann@example.org".to_owned();
    for (language, code, notice) in [
        (
            "nl",
            "Je code voor een nieuw e-mailadres bij Doorward",
            "Je e-mailadres bij Doorward is gewijzigd",
        ),
        (
            "de-at",
            "Ihr Code für eine neue E-Mail-Adresse bei Doorward",
            "Ihre E-Mail-Adresse bei Doorward wurde geändert",
        ),
        (
            "da",
            "Your code for a new email address at Doorward",
            "Your email address at Doorward was changed",
        ),
    ] {
        ann.call("/api/account/update", &json!({"language": language}))
            .await
            .success();
        let new = json!({"email": format!("{language}@new.example")});
        let call = app
            .http
            .post(REQUEST)
            .bearer(&ann.token)
            .header("accept-language", "fr")
            .json(&new);
        let response = call.send().await;
        let new_email = new["email"].as_str().expect("an address");
        let mail = app.smtp.mail_to(new_email).await;
        assert_eq!(mail.subject, code);
        ann.call(UPDATE, &with_codes(&new, &response, &mail.code()))
            .await
            .success();
        assert_eq!(app.smtp.mail_to(&old).await.subject, notice);
        new_email.clone_into(&mut old);
    }
}

async fn passwords_are_reset_by_the_new_address_and_not_by_the_old_one(backend: Backend) {
    let app = MailApp::start(backend).await;
    let ann = app.user("ann").await;
    let ask = async |name: &str| {
        app.http
            .post_anonymous(
                "/api/reset_password_request",
                &json!({"username_or_email": name}),
            )
            .await
    };
    let mut old = "ann@example.org".to_owned();
    for new in ["ann@new.example", "ann@newer.example"] {
        let body = app.request_email_change(&ann, new).await;
        ann.call(UPDATE, &body).await.success();
        ask(&old).await.assert_unprocessable("user_not_found");
        app.smtp.mail_to(&old).await;
        for name in [new, "ann"] {
            assert_eq!(ask(name).await.success().0["usernames"], json!(["ann"]));
            app.mailed_code(new).await;
        }
        new.clone_into(&mut old);
    }
    // Another user can sign up with the first address.
    let ben = app.sign_up("ben", "ann@example.org").await;
    assert_ne!(ben.gid, ann.gid);
    assert_eq!(
        ask("ann@example.org").await.success().0["usernames"],
        json!(["ben"])
    );
}

// A person with access to the old mailbox must not be able to use codes from it.
async fn codes_to_the_old_address_become_invalid(backend: Backend) {
    let app = MailApp::start(backend).await;
    let ann = app.user("ann").await;
    for name in ["ann", "ann@example.org"] {
        let response = app
            .http
            .post_anonymous(
                "/api/reset_password_request",
                &json!({"username_or_email": name}),
            )
            .await;
        let second = json!({"username": "ann", "new_password": "another battery staple 7"});
        let reset = with_codes(
            &second,
            &response,
            &app.mailed_code("ann@example.org").await,
        );
        let body = app.request_email_change(&ann, "ann@new.example").await;
        ann.call(UPDATE, &body).await.success();
        app.http
            .post_anonymous("/api/reset_password", &reset)
            .await
            .assert_code_rejected();
        app.smtp.mail_to("ann@example.org").await;
        let back = app.request_email_change(&ann, "ann@example.org").await;
        ann.call(UPDATE, &back).await.success();
        app.smtp.mail_to("ann@new.example").await;
    }
    assert_eq!(app.http.login("ann", PASSWORD).await.status, 200);
}

async fn both_steps_report_missing_parameters_in_order(backend: Backend) {
    let app = MailApp::start(backend).await;
    let ann = app.user("ann").await;
    assert_requires_strings(|| app.http.post(REQUEST).bearer(&ann.token), &["email"]).await;
    let second = ["email", "validation_code", "verification_code"];
    assert_requires_strings(|| app.http.post(UPDATE).bearer(&ann.token), &second).await;
}

async fn malformed_address_is_rejected(backend: Backend) {
    let app = MailApp::start(backend).await;
    let ann = app.user("ann").await;
    let long = format!("{}@example.org", "x".repeat(300));
    for bad in [
        "",
        "ann",
        "ann@",
        "@example.org",
        "ann@localhost",
        "Ann <a@b.org>",
        "a@b.org\r\nBcc: c@d.org",
        &long,
    ] {
        ann.call(REQUEST, &json!({"email": bad}))
            .await
            .assert_validation_error("email", "invalid");
    }
    assert_eq!(app.smtp.mails().len(), 0);
    for (odd, sent_to) in [
        ("ann+x@new.example", "ann+x@new.example"),
        ("\"a b\"@bücher.example", "\"a b\"@xn--bcher-kva.example"),
    ] {
        let first = json!({"email": odd});
        let response = ann.call(REQUEST, &first).await;
        let answer = ann
            .call(
                UPDATE,
                &with_codes(&first, &response, &app.mailed_code(sent_to).await),
            )
            .await;
        assert_eq!(
            answer.success().1["cc.users"][&ann.gid]["email"],
            json!(odd)
        );
    }
}

async fn second_step_must_repeat_the_first(backend: Backend) {
    let app = MailApp::start(backend).await;
    let ann = app.user("ann").await;
    let ben = app.user("ben").await;
    let other = app.request_email_change(&ben, "ben@new.example").await;
    let signup = app.request_signup("cas", "ann@new.example").await;
    let body = app.request_email_change(&ann, "ann@new.example").await;
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
        ("email", json!("ben@new.example")),
        ("email", json!("ann@example.org")),
        ("email", json!("ann")),
        ("email", json!("")),
    ];
    for (name, value) in changes {
        let body = app.request_email_change(&ann, "ann@new.example").await;
        ann.call(UPDATE, &with_field(&body, name, value))
            .await
            .assert_code_rejected();
    }
    // The codes of a signup are rejected.
    ann.call(UPDATE, &signup).await.assert_code_rejected();
    assert_eq!(
        ann.init().await.success().1["cc.users"][&ann.gid]["email"],
        json!("ann@example.org")
    );
    let body = app.request_email_change(&ann, "ann@new.example").await;
    let code = body["verification_code"]
        .as_str()
        .expect("a code")
        .to_lowercase();
    let body = with_field(
        &with_field(&body, "email", "ANN@NEW.example"),
        "verification_code",
        code,
    );
    ann.call(UPDATE, &body).await.success();
    app.smtp.mail_to("ann@example.org").await;
    assert_eq!(app.smtp.count_to("ann@example.org"), 1);
}

async fn code_is_valid_for_the_requester_only(backend: Backend) {
    let app = MailApp::start(backend).await;
    let ann = app.user("ann").await;
    let ben = app.user("ben").await;
    let body = app.request_email_change(&ann, "ann@new.example").await;
    ben.call(UPDATE, &body).await.assert_code_rejected();
    let more = with_field(
        &with_field(&body, "user", ann.gid.clone()),
        "gid",
        ann.gid.clone(),
    );
    ben.call(UPDATE, &more).await.assert_code_rejected();
    // Codes of several users for the same address do not replace each other.
    let body_of_ben = app.request_email_change(&ben, "ann@new.example").await;
    ann.call(UPDATE, &body).await.success();
    ben.call(UPDATE, &body_of_ben).await.success();
}

async fn fifth_wrong_attempt_is_the_last(backend: Backend) {
    let app = MailApp::start(backend).await;
    let ann = app.user("ann").await;
    for attempts in [5, 4] {
        let body = app.request_email_change(&ann, "ann@new.example").await;
        for _ in 0..attempts {
            ann.call(UPDATE, &with_wrong_code(&body))
                .await
                .assert_code_rejected();
        }
        let answer = ann.call(UPDATE, &body).await;
        if attempts == 5 {
            answer.assert_code_rejected();
        } else {
            answer.success();
        }
    }
}

async fn code_works_once(backend: Backend) {
    let app = MailApp::start(backend).await;
    let ann = app.user("ann").await;
    let body = app.request_email_change(&ann, "ann@new.example").await;
    let answers = join_all((0..6).map(|_| ann.call(UPDATE, &body))).await;
    let (succeeded, rejected): (Vec<_>, Vec<_>) =
        answers.iter().partition(|answer| answer.status == 200);
    assert_eq!(succeeded.len(), 1, "{answers:?}");
    rejected
        .iter()
        .for_each(|answer| answer.assert_code_rejected());
    ann.call(UPDATE, &body).await.assert_code_rejected();
    app.smtp.mail_to("ann@example.org").await;
    assert_eq!(app.smtp.count_to("ann@example.org"), 1);
}

async fn each_request_has_its_own_codes(backend: Backend) {
    let app = MailApp::start(backend).await;
    let ann = app.user("ann").await;
    let first = app.request_email_change(&ann, "ann@new.example").await;
    let second = app.request_email_change(&ann, "ann@newer.example").await;
    let mixed = with_field(&first, "email", "ann@newer.example");
    ann.call(UPDATE, &mixed).await.assert_code_rejected();
    let (_, data) = ann.call(UPDATE, &first).await.success();
    assert_eq!(
        data["cc.users"][&ann.gid]["email"],
        json!("ann@new.example")
    );
    ann.call(UPDATE, &second).await.assert_code_rejected();
}

async fn user_without_address_can_set_one(backend: Backend) {
    let app = MailApp::start(backend).await;
    app.installation
        .cli(
            &["user", "create", "--username", "mute", "--password-stdin"],
            PASSWORD,
        )
        .await
        .assert_success();
    let token = app.http.login("mute", PASSWORD).await.token();
    let first = json!({"email": "mute@new.example"});
    let post =
        async |path: &str, body: &Value| app.http.post(path).bearer(&token).json(body).send().await;
    let response = post(REQUEST, &first).await;
    let body = with_codes(
        &first,
        &response,
        &app.mailed_code("mute@new.example").await,
    );
    post(UPDATE, &body).await.success();
    // A change to the same address causes no mail about a changed address.
    let response = post(REQUEST, &first).await;
    let body = with_codes(
        &first,
        &response,
        &app.mailed_code("mute@new.example").await,
    );
    post(UPDATE, &body).await.success();
    assert_eq!(app.smtp.mails().len(), 2);
}

async fn calls_require_an_account(backend: Backend) {
    let app = MailApp::start(backend).await;
    assert_requires_account(&app, REQUEST, &json!({"email": "root@new.example"})).await;
    assert_eq!(app.smtp.mails().len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn second_call_requires_an_account() {
    let app = MailApp::start(Backend::Sqlite).await;
    let body =
        json!({"email": "root@new.example", "validation_code": "x", "verification_code": "x"});
    assert_requires_account(&app, UPDATE, &body).await;
}
