//! Tests that clients receive the API version of a newer release of the server.

use std::time::Duration;

use doorward_tests::{
    App, Backend, User, eventually, on_both_databases, snapshots::assert_json_eq, sql::execute,
};
use serde_json::{Value, json};

on_both_databases![newer_api_version_is_announced_to_all];

const EVENTUALLY_TIMEOUT: Duration = Duration::from_secs(10);

async fn newer_api_version_is_announced_to_all(backend: Backend) {
    let mut app = App::start(backend).await;
    let ann = app.user("ann").await;
    let ben = app.user("ben").await;
    let project = app.installation.create_project("ann", "Herbarium").await;
    let robot = ann.create_api_user(&project, "Robot").await;
    let program = User {
        gid: robot.gid.clone(),
        username: String::new(),
        token: robot.auth().await.token(),
        http: app.http.clone(),
    };
    let (before, _) = ben.init().await.success();
    let since = json!({"cc_cursor": before["cc.cursor"]});
    let read = async |user: &User| -> Value { user.call("/sync/get", &since).await.success().0 };
    app.restart().await;
    assert_json_eq(
        &read(&ben).await,
        &json!({"sync": [], "cc.cursor": before["cc.cursor"]}),
    );

    // Simulates that an older release ran before.
    execute(
        &app.installation.databases.directory,
        "UPDATE announced_api_version SET api_version = '2020.01.001'",
    );
    app.restart().await;
    let changed = async || Some(read(&ben).await).filter(|result| result["sync"] != json!([]));
    let result = eventually("the release", EVENTUALLY_TIMEOUT, changed).await;
    let row = json!({
        "type": "cc", "cursor": before["cc.cursor"].as_i64().map(|cursor| cursor + 1), "action": "UPDATE",
        "data_type": "cc.version", "data_key": before["cc.version"]
    });
    assert_json_eq(&result, &json!({"sync": [row]}));
    for user in [&ann, &program] {
        assert_json_eq(&read(user).await, &result);
    }
    app.restart().await;
    assert_json_eq(&read(&ben).await, &result);
}
