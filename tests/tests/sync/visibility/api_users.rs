//! Tests the rows about API users, which are delivered like those about members, and the rows that
//! API users receive.

use doorward_tests::{Backend, on_both_databases};
use serde_json::json;

use crate::sync::visibility::Fixture;

on_both_databases![
    api_user_lifecycle_is_delivered,
    reactivated_api_user_continues_to_sync,
];

async fn api_user_lifecycle_is_delivered(backend: Backend) {
    let mut scene = Fixture::new(backend).await;
    let crane = scene.ann.create_api_user(&scene.herbarium, "Crane").await;
    scene.audience.name(&crane.gid, "crane");
    let user = json!({"user": crane.gid});
    let expected: &[&str] = &[
        "INSERT cc.projects_members herbarium/crane",
        "INSERT cc.users crane",
    ];
    scene
        .audience
        .assert_rows("created", &[("ann ben cas robot", expected)])
        .await;
    scene
        .owner(
            "apikeys/update",
            &json!({"user": crane.gid, "name": "Digger"}),
        )
        .await
        .success();
    scene
        .audience
        .assert_rows(
            "renamed",
            &[("ann ben cas robot", &["UPDATE cc.users crane"])],
        )
        .await;
    for call in ["get", "rotate"] {
        scene
            .owner(&format!("apikeys/{call}"), &user)
            .await
            .success();
        scene.audience.assert_rows("a key is no entry", &[]).await;
    }
    scene.owner("apikeys/deactivate", &user).await.success();
    let expected: &[&str] = &[
        "UPDATE cc.projects_members herbarium/crane",
        "DELETE cc.users crane",
    ];
    scene
        .audience
        .assert_rows("deactivated", &[("ann ben cas robot", expected)])
        .await;
    scene
        .owner(
            "apikeys/update",
            &json!({"user": crane.gid, "name": "Crane"}),
        )
        .await
        .success();
    scene
        .audience
        .assert_rows("renamed while inactive", &[])
        .await;
    scene.owner("apikeys/activate", &user).await.success();
    scene.audience.sync("ann ben cas robot").await;
    scene.audience.assert_rows("activated", &[]).await;
    scene.owner("apikeys/delete", &user).await.success();
    let expected: &[&str] = &[
        "DELETE cc.projects_members herbarium/crane",
        "DELETE cc.users crane",
    ];
    scene
        .audience
        .assert_rows("deleted", &[("ann ben cas robot", expected)])
        .await;
}

async fn reactivated_api_user_continues_to_sync(backend: Backend) {
    let mut scene = Fixture::new(backend).await;
    let user = json!({"user": scene.robot.gid});
    scene
        .owner(
            "apikeys/update",
            &json!({"user": scene.robot.gid, "name": "Digger"}),
        )
        .await
        .success();
    scene
        .audience
        .assert_rows(
            "renamed",
            &[("ann ben cas robot", &["UPDATE cc.users robot"])],
        )
        .await;
    scene.audience.disconnect("robot");
    scene.owner("apikeys/deactivate", &user).await.success();
    let expected: &[&str] = &[
        "UPDATE cc.projects_members herbarium/robot",
        "DELETE cc.users robot",
    ];
    scene
        .audience
        .assert_rows("deactivated", &[("ann ben cas", expected)])
        .await;
    scene.owner("apikeys/activate", &user).await.success();
    // Clients ignore the UPDATE of a user that they do not have.
    let expected: &[&str] = &[
        "UPDATE cc.users robot",
        "UPDATE cc.projects_members herbarium/robot",
        "INSERT cc.users robot",
    ];
    scene
        .audience
        .assert_rows("activated", &[("ann ben cas", expected)])
        .await;
    let token = scene.robot.auth().await.token();
    scene.audience.reconnect("robot", &token);
    scene.audience.sync("robot").await;
    scene.audience.assert_rows("back", &[]).await;
}
