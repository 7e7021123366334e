//! Tests the rows about projects: creation, changes, deletion, transfer and permanent deletion.

use doorward_tests::{
    Backend,
    http::{BOUNDARY, form},
    on_both_databases,
};
use serde_json::json;

use crate::media::avatars::png;
use crate::sync::visibility::Fixture;

on_both_databases![
    new_project_is_delivered_to_its_owner_only,
    project_changes_are_delivered_to_those_who_see_it,
    project_deletion_and_undeletion_are_delivered,
    hidden_project_deletion_is_not_delivered,
    permanent_deletion_is_delivered_to_the_owner_only,
    transfer_changes_visible_options,
    users_shared_by_another_project_stay_visible,
];

async fn new_project_is_delivered_to_its_owner_only(backend: Backend) {
    let mut scene = Fixture::new(backend).await;
    let (created, _) = scene
        .ann
        .call("/api/projects/create", &json!({"name": "Atlas"}))
        .await
        .success();
    scene
        .audience
        .name(created["project"].as_str().expect("a gid"), "atlas");
    let expected: &[&str] = &[
        "INSERT cc.projects atlas",
        "INSERT cc.projects_members atlas/ann",
    ];
    scene
        .audience
        .assert_rows("by its owner", &[("ann", expected)])
        .await;
    let created = scene.app.installation.create_project("dan", "Cellar").await;
    scene.audience.name(&created, "cellar");
    let expected: &[&str] = &[
        "INSERT cc.projects cellar",
        "INSERT cc.projects_members cellar/dan",
    ];
    scene
        .audience
        .assert_rows("by the command line", &[("dan", expected)])
        .await;
}

async fn project_changes_are_delivered_to_those_who_see_it(backend: Backend) {
    let mut scene = Fixture::new(backend).await;
    let expected: &[(&str, &[&str])] =
        &[("ann ben cas robot fay", &["UPDATE cc.projects herbarium"])];
    let project = &scene.herbarium;
    for change in [
        json!({"name": "Hortus"}),
        json!({"timezone": "Europe/Berlin"}),
    ] {
        let mut body = change.clone();
        body["project"] = json!(project);
        scene
            .ben
            .call("/api/projects/update", &body)
            .await
            .success();
        scene
            .audience
            .assert_rows(&change.to_string(), expected)
            .await;
        scene
            .ben
            .call("/api/projects/update", &body)
            .await
            .success();
        scene.audience.assert_rows("the same again", &[]).await;
    }
    for (call, body) in [
        ("languages/add", json!({"language": "de"})),
        ("languages/remove", json!({"language": "de"})),
        ("channels/create", json!({"name": "Second"})),
        ("orderings/create", json!({"name": "Second"})),
        ("fieldlists/create", json!({"name": "Second"})),
    ] {
        let (created, data) = scene
            .ben
            .call(&format!("/api/p/{project}/{call}"), &body)
            .await
            .success();
        scene.audience.assert_rows(call, expected).await;
        let Some((list, "create")) = call.split_once('/') else {
            continue;
        };
        let item = list.trim_end_matches('s');
        let first = &data["cc.projects"][project]["options"][format!("ordered{list}")][0];
        // Channels are not moved, because the first one must stay first.
        if list != "channels" {
            let moved = json!({item: created[item], (format!("before_{item}")): first});
            scene
                .ben
                .call(&format!("/api/p/{project}/{list}/move"), &moved)
                .await
                .success();
            scene.audience.assert_rows("moved", expected).await;
        }
        let renamed = json!({item: created[item], "name": "Other"});
        scene
            .ben
            .call(&format!("/api/p/{project}/{list}/update"), &renamed)
            .await
            .success();
        scene.audience.assert_rows("renamed", expected).await;
        scene
            .ben
            .call(
                &format!("/api/p/{project}/{list}/delete"),
                &json!({item: created[item]}),
            )
            .await
            .success();
        scene.audience.assert_rows("deleted", expected).await;
    }
    let parts = form(&[("project", project.as_bytes()), ("upload_file", &png())]);
    let upload = scene
        .app
        .http
        .post("/api/projects/upload_icon")
        .bearer(&scene.ann.token)
        .body(parts);
    upload
        .header(
            "content-type",
            &format!("multipart/form-data; boundary={BOUNDARY}"),
        )
        .send()
        .await
        .success();
    scene.audience.assert_rows("an icon", expected).await;
    scene
        .on_project(&scene.ann, "/api/projects/delete_icon", &scene.herbarium)
        .await;
    scene.audience.assert_rows("none", expected).await;
}

/// Returns the rows about these members when Herbarium becomes hidden or visible. Users in `kept`
/// stay visible, so there is no row about them.
fn of_all(action: &str, shown: &[&str], kept: &[&str]) -> Vec<String> {
    let mut rows = Vec::new();
    for user in shown {
        rows.push(format!("{action} cc.projects_members herbarium/{user}"));
        if !kept.contains(user) {
            rows.push(format!("{action} cc.users {user}"));
        }
    }
    rows
}

async fn project_deletion_and_undeletion_are_delivered(backend: Backend) {
    let mut scene = Fixture::new(backend).await;
    for (path, action) in [
        ("/api/projects/delete", "DELETE"),
        ("/api/projects/undelete", "INSERT"),
    ] {
        scene.on_project(&scene.ann, path, &scene.herbarium).await;
        // An INSERT is delivered even if the user was already visible, a DELETE only if the user
        // becomes hidden.
        let kept = |name: &'static str| {
            if action == "DELETE" {
                vec![name]
            } else {
                Vec::new()
            }
        };
        let summary = |user: &str| {
            vec![
                format!("{action} cc.projects herbarium"),
                format!("{action} cc.projects_members herbarium/{user}"),
            ]
        };
        let rows = [
            (
                "ann",
                vec!["UPDATE cc.projects herbarium".to_owned()],
                of_all(action, &["ben", "cas", "robot", "fay"], &[]),
            ),
            (
                "ben",
                summary("ben"),
                of_all(action, &["ann", "cas", "robot", "fay"], &kept("cas")),
            ),
            (
                "cas",
                summary("cas"),
                of_all(action, &["ann", "ben", "robot", "fay"], &kept("ben")),
            ),
            (
                "robot",
                summary("robot"),
                of_all(action, &["ann", "ben", "cas", "fay"], &[]),
            ),
            ("fay", summary("fay"), Vec::new()),
        ];
        scene
            .audience
            .assert_rows_of_all(
                path,
                &rows.map(|(name, summary, others)| (name, [summary, others].concat())),
            )
            .await;
    }
    // Changes are delivered as before the deletion.
    let body = json!({"project": scene.herbarium, "name": "Hortus"});
    scene
        .ann
        .call("/api/projects/update", &body)
        .await
        .success();
    scene
        .audience
        .assert_rows(
            "renamed",
            &[("ann ben cas robot fay", &["UPDATE cc.projects herbarium"])],
        )
        .await;
}

async fn hidden_project_deletion_is_not_delivered(backend: Backend) {
    let mut scene = Fixture::new(backend).await;
    scene
        .on_project(&scene.fay, "/api/account/decline_invite", &scene.herbarium)
        .await;
    scene
        .app
        .installation
        .add_member(&scene.herbarium, "dan")
        .await;
    scene.on_member("deactivate", &scene.dan.gid.clone()).await;
    scene.audience.sync("ann ben cas dan fay robot").await;
    for (path, action) in [
        ("/api/projects/delete", "DELETE"),
        ("/api/projects/undelete", "INSERT"),
    ] {
        scene.on_project(&scene.ann, path, &scene.herbarium).await;
        // Users of declined and inactive memberships do not become visible, but they are deleted in
        // any case, because they could have been visible before.
        let expected = of_all(
            action,
            &["ben", "cas", "robot", "fay", "dan"],
            if action == "INSERT" {
                &["fay", "dan"]
            } else {
                &[]
            },
        );
        let expected = [vec!["UPDATE cc.projects herbarium".to_owned()], expected].concat();
        scene.audience.sync("ben cas robot").await;
        scene
            .audience
            .assert_rows_of_all(path, &[("ann", expected)])
            .await;
    }
}

async fn permanent_deletion_is_delivered_to_the_owner_only(backend: Backend) {
    let mut scene = Fixture::new(backend).await;
    scene
        .on_project(&scene.ann, "/api/projects/delete", &scene.herbarium)
        .await;
    scene.audience.sync("ann ben cas fay robot").await;
    scene.audience.disconnect("robot");
    scene
        .on_project(
            &scene.ann,
            "/api/projects/permanent_delete",
            &scene.herbarium,
        )
        .await;
    let expected: &[&str] = &[
        "DELETE cc.projects herbarium",
        "DELETE cc.projects_members herbarium/ann",
    ];
    scene
        .audience
        .assert_rows("gone", &[("ann", expected)])
        .await;
}

async fn transfer_changes_visible_options(backend: Backend) {
    let mut scene = Fixture::new(backend).await;
    let limit = json!({"user": scene.cas.gid, "options": {"rate_limit_per_second": 50}});
    scene.owner("members/update", &limit).await.success();
    let expected: &[(&str, &[&str])] = &[(
        "ann ben cas robot",
        &["UPDATE cc.projects_members herbarium/cas"],
    )];
    scene.audience.assert_rows("a limit", expected).await;

    let body = json!({"project": scene.herbarium, "user": scene.ben.gid});
    scene
        .ann
        .call("/api/projects/transfer", &body)
        .await
        .success();
    let project = "UPDATE cc.projects herbarium";
    let [ann, ben, cas, robot, fay] = ["ann", "ben", "cas", "robot", "fay"]
        .map(|user| format!("UPDATE cc.projects_members herbarium/{user}"));
    let expected: &[(&str, &[&str])] = &[
        ("ann", &[project, &ann, &ben, &cas, &robot, &fay, &ben]),
        ("ben", &[project, &ann, &ben, &ann, &cas, &robot, &fay]),
        ("cas robot", &[project, &ann, &ben]),
        ("fay", &[project]),
    ];
    scene.audience.assert_rows("transferred", expected).await;
}

async fn users_shared_by_another_project_stay_visible(backend: Backend) {
    let mut scene = Fixture::new(backend).await;
    scene
        .on_project(&scene.ben, "/api/projects/delete", &scene.garden)
        .await;
    let expected: &[(&str, &[&str])] = &[
        (
            "ben",
            &[
                "UPDATE cc.projects garden",
                "DELETE cc.projects_members garden/cas",
            ],
        ),
        (
            "cas",
            &[
                "DELETE cc.projects garden",
                "DELETE cc.projects_members garden/cas",
                "DELETE cc.projects_members garden/ben",
            ],
        ),
    ];
    scene.audience.assert_rows("deleted", expected).await;
    scene
        .on_project(&scene.ben, "/api/projects/permanent_delete", &scene.garden)
        .await;
    let expected: &[&str] = &[
        "DELETE cc.projects garden",
        "DELETE cc.projects_members garden/ben",
    ];
    scene
        .audience
        .assert_rows("gone", &[("ben", expected)])
        .await;
    scene
        .cas
        .call("/api/account/update", &json!({"name": "Cas C."}))
        .await
        .success();
    scene
        .audience
        .assert_rows(
            "still seen",
            &[("ann ben cas robot", &["UPDATE cc.users cas"])],
        )
        .await;
}
