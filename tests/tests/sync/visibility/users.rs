//! Tests the rows about changes of users, by themselves or by an administrator.

use doorward_tests::{Backend, PASSWORD, on_both_databases};
use serde_json::json;

use crate::media::avatars::{png, upload};
use crate::sync::visibility::Fixture;

on_both_databases![
    user_changes_are_delivered_once_to_those_who_see_the_user,
    new_address_updates_own_memberships,
    avatar_change_is_delivered,
    deactivated_user_stays_visible_and_resumes,
    deleted_account_leaves_every_project,
];

async fn user_changes_are_delivered_once_to_those_who_see_the_user(backend: Backend) {
    let mut scene = Fixture::new(backend).await;
    for change in [
        json!({"name": "Benjamin"}),
        json!({"username": "benjamin"}),
        json!({"language": "nl"}),
        json!({"timezone": "Europe/Berlin"}),
        json!({"name": "Ben", "username": "ben", "language": "en", "timezone": "Europe/Amsterdam"}),
    ] {
        scene
            .ben
            .call("/api/account/update", &change)
            .await
            .success();
        // ben and cas share two projects, but the row is delivered once.
        scene
            .audience
            .assert_rows(
                &change.to_string(),
                &[("ann ben cas robot", &["UPDATE cc.users ben"])],
            )
            .await;
        // Equal values are no change.
        scene
            .ben
            .call("/api/account/update", &change)
            .await
            .success();
        scene.audience.assert_rows("the same again", &[]).await;
    }
    let name = json!({"name": "Fay F."});
    scene.fay.call("/api/account/update", &name).await.success();
    scene
        .audience
        .assert_rows(
            "an invited user",
            &[("ann ben cas robot fay", &["UPDATE cc.users fay"])],
        )
        .await;
    scene.dan.call("/api/account/update", &name).await.success();
    scene
        .audience
        .assert_rows("a stranger", &[("dan", &["UPDATE cc.users dan"])])
        .await;
    scene
        .ann
        .call(
            "/api/account/update",
            &json!({"password": "an other horse battery staple 7"}),
        )
        .await
        .success();
    let token = scene
        .app
        .http
        .login("ann", "an other horse battery staple 7")
        .await
        .token();
    scene.audience.reconnect("ann", &token);
    scene
        .audience
        .assert_rows("a password is no entry", &[])
        .await;
}

async fn new_address_updates_own_memberships(backend: Backend) {
    let mut scene = Fixture::new(backend).await;
    let body = scene
        .app
        .request_email_change(&scene.dan, "daniel@example.org")
        .await;
    scene
        .dan
        .call("/api/account/update_email", &body)
        .await
        .success();
    scene
        .audience
        .assert_rows("without memberships", &[("dan", &["UPDATE cc.users dan"])])
        .await;
    // The memberships of the user change too: they contain the address for notifications.
    let body = scene
        .app
        .request_email_change(&scene.fay, "faye@example.org")
        .await;
    scene
        .fay
        .call("/api/account/update_email", &body)
        .await
        .success();
    let expected: &[(&str, &[&str])] = &[
        ("ann ben cas robot", &["UPDATE cc.users fay"]),
        (
            "fay",
            &[
                "UPDATE cc.users fay",
                "UPDATE cc.projects_members herbarium/fay",
            ],
        ),
    ];
    scene.audience.assert_rows("an invitation", expected).await;
    // A membership with another address for notifications does not change.
    let elsewhere = json!({"notifications": {"email": "elsewhere@example.org"}});
    let path = format!("/api/p/{}/members/update", scene.garden);
    scene
        .ben
        .call(&path, &json!({"user": scene.ben.gid, "options": elsewhere}))
        .await
        .success();
    scene
        .audience
        .assert_rows(
            "elsewhere",
            &[("ben cas", &["UPDATE cc.projects_members garden/ben"])],
        )
        .await;
    let body = scene
        .app
        .request_email_change(&scene.ben, "benjamin@example.org")
        .await;
    scene
        .ben
        .call("/api/account/update_email", &body)
        .await
        .success();
    let expected: &[(&str, &[&str])] = &[
        ("ann cas robot", &["UPDATE cc.users ben"]),
        (
            "ben",
            &[
                "UPDATE cc.users ben",
                "UPDATE cc.projects_members herbarium/ben",
            ],
        ),
    ];
    scene.audience.assert_rows("memberships", expected).await;
}

async fn avatar_change_is_delivered(backend: Backend) {
    let mut scene = Fixture::new(backend).await;
    upload(&scene.ann, &png()).await.success();
    scene
        .audience
        .assert_rows(
            "uploaded",
            &[("ann ben cas robot", &["UPDATE cc.users ann"])],
        )
        .await;
    scene
        .ann
        .call("/api/account/delete_avatar", &json!({}))
        .await
        .success();
    scene
        .audience
        .assert_rows(
            "deleted",
            &[("ann ben cas robot", &["UPDATE cc.users ann"])],
        )
        .await;
    scene
        .ann
        .call("/api/account/delete_avatar", &json!({}))
        .await
        .success();
    scene.audience.assert_rows("no avatar to delete", &[]).await;
}

async fn deactivated_user_stays_visible_and_resumes(backend: Backend) {
    let mut scene = Fixture::new(backend).await;
    let others: &[(&str, &[&str])] = &[("ann cas robot", &["UPDATE cc.users ben"])];
    scene.audience.disconnect("ben");
    scene
        .app
        .installation
        .change_user("deactivate", "ben")
        .await;
    scene.audience.assert_rows("deactivated", others).await;
    scene
        .dan
        .call("/api/account/update", &json!({"name": "Dan D."}))
        .await
        .success();
    scene
        .app
        .installation
        .add_member(&scene.garden, "dan")
        .await;
    scene.audience.sync("dan cas").await;
    scene.app.installation.change_user("activate", "ben").await;
    let expected: &[(&str, &[&str])] = &[("ann cas dan robot", &["UPDATE cc.users ben"])];
    scene.audience.assert_rows("activated", expected).await;
    scene
        .audience
        .reconnect("ben", &scene.app.http.login("ben", PASSWORD).await.token());
    let missed = [
        "UPDATE cc.users ben",
        "INSERT cc.projects_members garden/dan",
        "INSERT cc.users dan",
        "UPDATE cc.users ben",
    ];
    scene
        .audience
        .assert_rows("back", &[("ben", &missed)])
        .await;
}

async fn deleted_account_leaves_every_project(backend: Backend) {
    let mut scene = Fixture::new(backend).await;
    scene.audience.disconnect("fay");
    scene
        .fay
        .call("/api/account/delete", &json!({"confirm": true}))
        .await
        .success();
    let gone: &[&str] = &[
        "DELETE cc.projects_members herbarium/fay",
        "DELETE cc.users fay",
    ];
    scene
        .audience
        .assert_rows("an invited user", &[("ann ben cas robot", gone)])
        .await;

    scene.audience.disconnect("cas");
    scene
        .cas
        .call("/api/account/delete", &json!({"confirm": true}))
        .await
        .success();
    let herbarium = [
        "DELETE cc.projects_members herbarium/cas",
        "DELETE cc.users cas",
    ];
    let garden = [
        "DELETE cc.projects_members garden/cas",
        "DELETE cc.users cas",
    ];
    let both = if scene.herbarium < scene.garden {
        [herbarium, garden].concat()
    } else {
        [garden, herbarium].concat()
    };
    scene
        .audience
        .assert_rows(
            "a member of two projects",
            &[("ann robot", &herbarium), ("ben", &both)],
        )
        .await;
}
