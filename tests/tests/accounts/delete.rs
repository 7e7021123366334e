//! Tests that `POST /api/account/delete` deletes an account with its tokens, codes and memberships.

use doorward_tests::{
    App, Backend, MailApp, PASSWORD, Services, User,
    assertions::{assert_requires_account, assert_requires_object},
    mail_app::with_field,
    on_both_databases,
    services::Role::Gateway,
    sql::{execute, texts},
};
use serde_json::json;

on_both_databases![
    deleted_account_is_inaccessible_immediately,
    deletion_requires_confirmation,
    project_owner_cannot_be_deleted,
    memberships_are_deleted_and_members_notified,
    keys_and_tokens_of_others_are_unaffected,
    username_and_address_are_reusable_and_inherit_nothing,
    codes_mailed_before_deletion_are_invalid,
    one_of_two_concurrent_deletions_succeeds,
    deletion_reaches_every_gateway_within_a_second,
    call_requires_an_account,
];

const PATH: &str = "/api/account/delete";

async fn delete(user: &User) {
    assert_eq!(
        user.call(PATH, &json!({"confirm": true})).await.success(),
        (json!({}), json!({}))
    );
}

async fn deleted_account_is_inaccessible_immediately(backend: Backend) {
    // The response must not have a token even if a renewal is due.
    let app = App::with_settings(backend, &[("DOORWARD_TOKEN_RENEW_AFTER", "0s")]).await;
    let ann = app.user("ann").await;
    let ben = app.user("ben").await;
    let other = app.http.login("ann", PASSWORD).await.token();
    let renewed = ann.init().await.token();
    let answer = ann
        .call(
            PATH,
            &json!({"confirm": true, "user": ben.gid, "gid": ben.gid}),
        )
        .await;
    assert_eq!(
        answer.json(),
        json!({"success": true, "result": {}, "data": {}})
    );
    assert_eq!((answer.status, answer.header("authorization")), (200, None));
    for token in [&ann.token, &other, &renewed] {
        app.http.denied_soon(token).await;
    }
    ann.call(PATH, &json!({"confirm": true}))
        .await
        .assert_unauthenticated();
    app.http.login("ann", PASSWORD).await.assert_unknown_user();
    assert_eq!(ben.init().await.status, 200);
    app.installation
        .cli(&["user", "show", "ann"], "")
        .await
        .assert_failure(1);
    let left = "SELECT user_gid AS text FROM credentials";
    assert_eq!(
        texts(&app.installation.databases.auth, left),
        [ben.gid.as_str()]
    );
}

async fn deletion_requires_confirmation(backend: Backend) {
    let app = App::start(backend).await;
    let ann = app.user("ann").await;
    for body in [
        json!({}),
        json!({"Confirm": true}),
        json!({"confirmed": true}),
    ] {
        ann.call(PATH, &body)
            .await
            .assert_bad_parameter("Missing parameter", "confirm");
    }
    for invalid in [
        json!(false),
        json!("true"),
        json!(1),
        json!(null),
        json!([true]),
        json!({"confirm": true}),
        json!(""),
    ] {
        ann.call(PATH, &json!({"confirm": invalid}))
            .await
            .assert_bad_parameter("Invalid parameter", "confirm");
    }
    assert_requires_object(|| app.http.post(PATH).bearer(&ann.token)).await;
    assert_eq!(ann.init().await.status, 200);
    delete(&ann).await;
}

async fn project_owner_cannot_be_deleted(backend: Backend) {
    let app = App::start(backend).await;
    let ann = app.user("ann").await;
    let project = app.installation.create_project("ann", "Herbarium").await;
    let robot = ann.create_api_user(&project, "Robot").await;
    ann.call(PATH, &json!({"confirm": true}))
        .await
        .assert_unprocessable("owns_projects");
    // The owner of a deleted project cannot be deleted either, because the project can be restored.
    let directory = &app.installation.databases.directory;
    execute(
        directory,
        &format!("UPDATE projects SET status = 'deleted' WHERE gid = '{project}'"),
    );
    ann.call(PATH, &json!({"confirm": true}))
        .await
        .assert_unprocessable("owns_projects");
    execute(
        directory,
        &format!("UPDATE projects SET status = 'active' WHERE gid = '{project}'"),
    );
    assert_eq!(
        ann.init().await.success().0["user_projects"],
        json!({project.as_str(): ["owner"]})
    );
    assert_eq!(robot.auth().await.status, 200);
    assert_eq!(app.http.login("ann", PASSWORD).await.status, 200);
}

async fn memberships_are_deleted_and_members_notified(backend: Backend) {
    let app = App::start(backend).await;
    let ann = app.user("ann").await;
    let ben = app.user("ben").await;
    let cas = app.user("cas").await;
    let project = app.installation.create_project("ann", "Herbarium").await;
    for member in ["ben", "cas"] {
        app.installation.add_member(&project, member).await;
    }
    let before = cas.init().await;
    assert!(before.text().contains(&ben.gid));
    delete(&ben).await;
    for user in [&ann, &cas] {
        let init = user.init().await;
        assert!(!init.text().contains(&ben.gid), "{}", init.text());
        let (result, data) = init.success();
        assert_eq!(
            data["cc.users"].as_object().map(serde_json::Map::len),
            Some(2)
        );
        assert_eq!(
            data["cc.projects_members"].as_array().map(Vec::len),
            Some(2)
        );
        assert!(result["cc.cursor"].as_i64() > before.json()["result"]["cc.cursor"].as_i64());
        let inside = app.http.project_init(&project, &user.token).await;
        assert!(!inside.text().contains(&ben.gid), "{}", inside.text());
    }
}

async fn keys_and_tokens_of_others_are_unaffected(backend: Backend) {
    let app = App::start(backend).await;
    let ann = app.user("ann").await;
    let ben = app.user("ben").await;
    let project = app.installation.create_project("ann", "Herbarium").await;
    app.installation.add_member(&project, "ben").await;
    let robot = ann.create_api_user(&project, "Robot").await;
    let by_key = robot.auth().await.token();
    delete(&ben).await;
    app.http
        .project_init(&project, &ben.token)
        .await
        .assert_unauthenticated();
    app.http
        .project_login(&project, "ben", PASSWORD)
        .await
        .assert_unknown_user();
    for token in [&ann.token, &by_key, &robot.auth().await.token()] {
        assert_eq!(app.http.project_init(&project, token).await.status, 200);
    }
}

async fn username_and_address_are_reusable_and_inherit_nothing(backend: Backend) {
    let app = MailApp::start(backend).await;
    let ann = app.user("ann").await;
    let ben = app.user("ben").await;
    let project = app.installation.create_project("ann", "Herbarium").await;
    app.installation.add_member(&project, "ben").await;
    delete(&ben).await;
    assert_eq!(
        app.http
            .post_anonymous("/api/username", &json!({"username": "ben"}))
            .await
            .success()
            .0,
        json!({"username": "ben", "available": true})
    );
    let new = app.sign_up("ben", "ben@example.org").await;
    assert_ne!(new.gid, ben.gid);
    let (result, data) = new.init().await.success();
    assert_eq!(result["user_projects"], json!({}));
    assert_eq!(
        (&data["cc.projects"], &data["cc.projects_members"]),
        (&json!({}), &json!([]))
    );
    app.http.init(&ben.token).await.assert_unauthenticated();
    app.http
        .project_init(&project, &ben.token)
        .await
        .assert_unauthenticated();
    app.http
        .project_init(&project, &new.token)
        .await
        .assert_forbidden();
    assert!(!ann.init().await.text().contains(&new.gid));
}

async fn codes_mailed_before_deletion_are_invalid(backend: Backend) {
    let app = MailApp::start(backend).await;
    let ann = app.user("ann").await;
    let reset = app
        .request_password_reset("ann", "another battery staple 7")
        .await;
    let email = app.request_email_change(&ann, "ann@new.example").await;
    delete(&ann).await;
    app.http
        .post_anonymous("/api/reset_password", &reset)
        .await
        .assert_unprocessable("user_not_found");
    ann.call("/api/account/update_email", &email)
        .await
        .assert_unauthenticated();
    let response = app
        .http
        .post_anonymous(
            "/api/reset_password_request",
            &json!({"username_or_email": "ann@example.org"}),
        )
        .await;
    response.assert_unprocessable("user_not_found");
    // The codes are also invalid for a new account with the same name.
    let new = app.sign_up("ann", "ann@example.org").await;
    app.http
        .post_anonymous("/api/reset_password", &reset)
        .await
        .assert_code_rejected();
    app.http
        .post_anonymous(
            "/api/reset_password",
            &with_field(&reset, "username", "ann"),
        )
        .await
        .assert_code_rejected();
    new.call("/api/account/update_email", &email)
        .await
        .assert_code_rejected();
    assert_eq!(new.init().await.status, 200);
}

async fn one_of_two_concurrent_deletions_succeeds(backend: Backend) {
    let app = App::start(backend).await;
    let ann = app.user("ann").await;
    let body = json!({"confirm": true});
    let (one, other) = tokio::join!(ann.call(PATH, &body), ann.call(PATH, &body));
    let (succeeded, rejected) = if one.status == 200 {
        (one, other)
    } else {
        (other, one)
    };
    succeeded.success();
    rejected.assert_unauthenticated();
    ann.assert_denied_eventually().await;
}

async fn deletion_reaches_every_gateway_within_a_second(backend: Backend) {
    let split = Services::start(backend).await;
    let gateway = split.start_replica(Gateway, &[]).await;
    let ann = User::create(&split.installation, &split.http, "ann").await;
    let there = gateway.http().login("ann", PASSWORD).await.token();
    delete(&ann).await;
    for gateway in [&gateway.http(), &split.http] {
        for old in [&there, &ann.token] {
            gateway.denied_within_a_second(old).await;
        }
        gateway.login("ann", PASSWORD).await.assert_unknown_user();
    }
}

async fn call_requires_an_account(backend: Backend) {
    let app = App::start(backend).await;
    assert_requires_account(&app, PATH, &json!({"confirm": true})).await;
}
