//! Tests that a signup with an invited address takes over the placeholder account and its
//! invitations.

use doorward_domain::{IdGenerator, RandomIdGenerator};
use doorward_tests::{
    Backend, MailApp, PASSWORD,
    mail_app::with_field,
    on_both_databases,
    snapshots::{assert_json_eq, redact},
    sql::execute,
};
use serde_json::json;

on_both_databases![
    signup_sees_its_invitations,
    second_account_of_an_address_inherits_nothing,
];

/// Inserts a placeholder account with an invitation to a project and returns its gid.
fn invite(app: &MailApp, project: &str, email: &str) -> String {
    let gid = RandomIdGenerator.new_gid().to_string();
    let directory = &app.installation.databases.directory;
    let user = format!(
        "INSERT INTO users (gid, email, email_canonical, name, status, language, timezone, created_at, updated_at) \
        VALUES ('{gid}', '{email}', '{}', '', 'invited', 'en', 'Europe/Amsterdam', 0, 0)",
        email.to_lowercase()
    );
    execute(directory, &user);
    let membership = format!(
        "INSERT INTO memberships (project_gid, user_gid, role, status, created_at, updated_at) \
        VALUES ('{project}', '{gid}', 'member', 'invited', 0, 0)"
    );
    execute(directory, &membership);
    gid
}

async fn signup_sees_its_invitations(backend: Backend) {
    let app = MailApp::start(backend).await;
    let ann = app.user("ann").await;
    let project = app.installation.create_project("ann", "Herbarium").await;
    let ben = invite(&app, &project, "Ben@example.org");
    // A placeholder account cannot reset a password.
    let response = app
        .http
        .post_anonymous(
            "/api/reset_password_request",
            &json!({"username_or_email": "ben@example.org"}),
        )
        .await;
    response.assert_unprocessable("user_not_found");

    let answer = app
        .http
        .post_anonymous(
            "/api/signup",
            &app.request_signup("ben", "ben@EXAMPLE.org").await,
        )
        .await;
    answer.success();
    let names = [
        (ann.gid.as_str(), "1-ann"),
        (&ben, "2-ben"),
        (&project, "<herbarium>"),
    ];
    let expected = json!({
        "success": true,
        "result": {"user": "2-ben", "user_projects": {}, "cc.version": "<version>", "cc.cursor": "<cursor>"},
        "data": {
            "cc.users": {
                "2-ben": {
                    "gid": "2-ben", "username": "ben", "email": "ben@EXAMPLE.org", "name": "", "avatar": null,
                    "status": "active", "options": {"language": "en", "timezone": "Europe/Amsterdam"}
                }
            },
            "cc.projects": {
                "<herbarium>":
                    {"gid": "<herbarium>", "name": "Herbarium", "icon": null, "owner": "1-ann", "status": "active"}
            },
            "cc.projects_members": [{
                "project_gid": "<herbarium>", "user_gid": "2-ben", "status": "invited", "roles": ["member"],
                "options": {
                    "notifications": {"email": "ben@EXAMPLE.org", "events": ["all"], "frequency": "immediate"},
                    "rate_limit_per_second": null
                }
            }],
            "cc.languages": "<languages>"
        }
    });
    assert_json_eq(&redact(&answer.json(), &names), &expected);
    assert_json_eq(
        &redact(&app.http.login("ben", PASSWORD).await.json(), &names),
        &expected,
    );
    app.http
        .project_init(&project, &answer.token())
        .await
        .assert_forbidden();
    let (_, data) = ann.init().await.success();
    let short =
        json!({"gid": ben, "username": "ben", "name": "", "avatar": null, "status": "active"});
    assert_eq!(data["cc.users"][&ben], short);
}

async fn second_account_of_an_address_inherits_nothing(backend: Backend) {
    let app = MailApp::start(backend).await;
    app.user("ann").await;
    let project = app.installation.create_project("ann", "Herbarium").await;
    let invited = invite(&app, &project, "ben@example.org");
    // The code of another address does not take over the placeholder account.
    let other = app.request_signup("cas", "cas@example.org").await;
    app.http
        .post_anonymous(
            "/api/signup",
            &with_field(&other, "email", "ben@example.org"),
        )
        .await
        .assert_code_rejected();
    let cas = app
        .http
        .post_anonymous("/api/signup", &other)
        .await
        .success()
        .0["user"]
        .clone();
    assert_ne!(cas, json!(invited));
    assert_eq!(app.sign_up("ben", "ben@example.org").await.gid, invited);
}
