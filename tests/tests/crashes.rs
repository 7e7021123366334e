//! `kill -9`: what was acknowledged is kept.

use doorward_tests::{App, Backend, PASSWORD, Split, on_both_databases, split::Role};
use serde_json::json;

on_both_databases![what_was_acknowledged_survives_a_kill, a_commit_is_kept_when_every_service_is_killed];

async fn what_was_acknowledged_survives_a_kill(backend: Backend) {
    let mut app = App::start(backend).await;
    let ann = app.user("ann").await;
    let project = app.installation.create_project("ann", "Herbarium").await;
    app.user("ben").await;
    app.installation.add_member(&project, "ben").await;
    let ben = app.http.login("ben", PASSWORD).await;
    app.installation.change_user("deactivate", "ben").await;

    app.restart().await;

    let (result, data) = app.http.login("ann", PASSWORD).await.success();
    assert_eq!(result["user_projects"], json!({&project: ["owner"]}));
    assert_eq!(data["cc.projects_members"].as_array().map(Vec::len), Some(2));
    assert_eq!(ann.init().await.status, 200);
    app.http.login("ben", PASSWORD).await.assert_unknown_user();
    // The revocation too: auth may not have seen the change before it was killed.
    app.http.init(&ben.token()).await.assert_denied();
}

async fn a_commit_is_kept_when_every_service_is_killed(backend: Backend) {
    let mut split = Split::start(backend).await;
    split.installation.create_user("ann").await;
    for role in Role::ALL {
        split.kill(role);
    }
    split.start_all().await;
    assert_eq!(split.http.login("ann", PASSWORD).await.status, 200);
}
