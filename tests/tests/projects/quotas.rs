//! Tests the limits on the projects that a user owns and the memberships of a project.

use doorward_tests::{Backend, MailApp, User, on_both_databases};
use serde_json::{Value, json};

on_both_databases![
    projects_of_a_user_are_limited,
    memberships_of_a_project_are_limited,
    parallel_calls_do_not_exceed_the_limits,
];

async fn start(backend: Backend) -> MailApp {
    let limits = [
        ("DOORWARD_MAX_PROJECTS_PER_USER", "3"),
        ("DOORWARD_MAX_MEMBERS_PER_PROJECT", "3"),
    ];
    MailApp::with(backend, &limits).await
}

async fn create(user: &User) -> String {
    let (result, _) = user
        .call("/api/projects/create", &json!({}))
        .await
        .success();
    result["project"].as_str().expect("a gid").to_owned()
}

async fn assert_full(user: &User) {
    user.call("/api/projects/create", &json!({}))
        .await
        .assert_unprocessable("limit_reached");
}

async fn projects_of_a_user_are_limited(backend: Backend) {
    let app = start(backend).await;
    let ann = app.user("ann").await;
    let ben = app.user("ben").await;
    let projects = [create(&ann).await, create(&ann).await, create(&ann).await];
    assert_full(&ann).await;
    let first = json!({"project": projects[0]});
    ann.call("/api/projects/delete", &first).await.success();
    assert_full(&ann).await;
    ann.call("/api/projects/permanent_delete", &first)
        .await
        .success();
    let third = create(&ann).await;
    assert_full(&ann).await;

    // A transfer counts for the new owner, and no longer for the old one.
    for _ in 0..3 {
        create(&ben).await;
    }
    app.installation.add_member(&third, "ben").await;
    let transfer = json!({"project": third, "user": ben.gid});
    ann.call("/api/projects/transfer", &transfer)
        .await
        .assert_unprocessable("limit_reached");
    // The limits do not apply to the command line.
    let words = ["project", "transfer", third.as_str(), "--to", "ben"];
    app.installation.cli(&words, "").await.assert_success();
    app.installation.create_project("ben", "Fifth").await;
    create(&ann).await;
    assert_full(&ann).await;
    assert_full(&ben).await;
}

async fn memberships_of_a_project_are_limited(backend: Backend) {
    let app = start(backend).await;
    let ann = app.user("ann").await;
    let ben = app.user("ben").await;
    let project = create(&ann).await;
    let call =
        async |call: &str, body: &Value| ann.call(&format!("/api/p/{project}/{call}"), body).await;
    let invite =
        async |name: &str| call("members/invite", &json!({"username_or_email": name})).await;
    invite("ben").await.success();
    let (result, _) = call("apikeys/create", &json!({"name": "Robot"}))
        .await
        .success();
    let robot = json!({"user": result["user"]});
    for _ in 0..2 {
        invite("new@example.org")
            .await
            .assert_unprocessable("limit_reached");
        call("apikeys/create", &json!({"name": "Other"}))
            .await
            .assert_unprocessable("limit_reached");
        // A user who is invited already does not count again.
        invite("ben").await.success();
    }
    invite("nobody")
        .await
        .assert_unprocessable("user_not_found");
    ben.call("/api/account/decline_invite", &json!({"project": project}))
        .await
        .success();
    invite("new@example.org")
        .await
        .assert_unprocessable("limit_reached");
    call("members/resend_invite", &json!({"user": ben.gid}))
        .await
        .success();
    ben.call("/api/account/accept_invite", &json!({"project": project}))
        .await
        .success();
    call("apikeys/deactivate", &robot).await.success();
    invite("new@example.org")
        .await
        .assert_unprocessable("limit_reached");
    call("apikeys/activate", &robot).await.success();
    call("apikeys/delete", &robot).await.success();
    invite("new@example.org").await.success();
    invite("other@example.org")
        .await
        .assert_unprocessable("limit_reached");
    app.user("cas").await;
    app.installation.add_member(&project, "cas").await;
}

async fn parallel_calls_do_not_exceed_the_limits(backend: Backend) {
    let app = start(backend).await;
    let ann = app.user("ann").await;
    let no_body = json!({});
    let answers =
        futures_util::future::join_all((0..16).map(|_| ann.call("/api/projects/create", &no_body)))
            .await;
    let created: Vec<String> = answers
        .iter()
        .filter(|answer| answer.status == 200)
        .map(|answer| {
            answer.success().0["project"]
                .as_str()
                .expect("a gid")
                .to_owned()
        })
        .collect();
    assert_eq!(created.len(), 3);
    for answer in answers.iter().filter(|answer| answer.status != 200) {
        answer.assert_unprocessable("limit_reached");
    }
    let path = format!("/api/p/{}/apikeys/create", created[0]);
    let body = json!({"name": "Robot"});
    let answers = futures_util::future::join_all((0..16).map(|_| ann.call(&path, &body))).await;
    assert_eq!(
        answers.iter().filter(|answer| answer.status == 200).count(),
        2
    );
}
