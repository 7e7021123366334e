//! Tests the rows about joining and leaving members, and about changes of memberships.

use doorward_tests::{Backend, on_both_databases};
use serde_json::json;

use crate::sync::visibility::Fixture;

on_both_databases![
    member_joining_and_leaving_is_delivered,
    shared_users_stay_visible_after_leaving,
    membership_changes_are_delivered_to_members,
];

/// Returns the rows about Herbarium with all its members, as dan receives them.
fn whole(action: &str) -> Vec<String> {
    let mut rows = vec![
        format!("{action} cc.projects herbarium"),
        format!("{action} cc.projects_members herbarium/dan"),
    ];
    for user in ["ann", "ben", "cas", "robot", "fay"] {
        rows.push(format!("{action} cc.projects_members herbarium/{user}"));
        rows.push(format!("{action} cc.users {user}"));
    }
    rows
}

impl Fixture {
    /// Checks the rows about dan that members receive, and the rows about Herbarium that dan
    /// receives.
    async fn assert_rows_of_dan(
        &mut self,
        what: &str,
        [membership, person]: [&str; 2],
        project: &str,
    ) {
        let inside = vec![
            format!("{membership} cc.projects_members herbarium/dan"),
            format!("{person} cc.users dan"),
        ];
        let mut expected = ["ann", "ben", "cas", "robot"]
            .map(|name| (name, inside.clone()))
            .to_vec();
        expected.push(("dan", whole(project)));
        self.audience.assert_rows_of_all(what, &expected).await;
    }
}

async fn member_joining_and_leaving_is_delivered(backend: Backend) {
    let mut scene = Fixture::new(backend).await;
    let dan = scene.dan.gid.clone();
    scene
        .app
        .installation
        .add_member(&scene.herbarium, "dan")
        .await;
    scene
        .assert_rows_of_dan("added", ["INSERT", "INSERT"], "INSERT")
        .await;
    for _ in 0..2 {
        scene.on_member("deactivate", &dan).await;
        scene
            .assert_rows_of_dan("deactivated", ["UPDATE", "DELETE"], "DELETE")
            .await;
        scene.on_member("deactivate", &dan).await;
        scene.audience.assert_rows("once more", &[]).await;
        // An inactive member and the other members are not visible to each other.
        scene
            .dan
            .call("/api/account/update", &json!({"name": "Dan D."}))
            .await
            .success();
        scene.on_member("activate", &dan).await;
        scene.audience.sync("dan").await;
        let expected: &[&str] = &[
            "UPDATE cc.projects_members herbarium/dan",
            "INSERT cc.users dan",
        ];
        scene
            .audience
            .assert_rows("activated", &[("ann ben cas robot", expected)])
            .await;
        scene.on_member("activate", &dan).await;
        scene.audience.assert_rows("once more", &[]).await;
        scene
            .dan
            .call("/api/account/update", &json!({"name": "Dan"}))
            .await
            .success();
        scene.audience.sync("ann ben cas robot dan").await;
    }
    scene.on_member("deactivate", &dan).await;
    scene
        .assert_rows_of_dan("deactivated again", ["UPDATE", "DELETE"], "DELETE")
        .await;
    scene.on_member("activate", &dan).await;
    scene
        .assert_rows_of_dan("activated again", ["UPDATE", "INSERT"], "INSERT")
        .await;
    scene.on_member("remove", &dan).await;
    scene
        .assert_rows_of_dan("removed", ["DELETE", "DELETE"], "DELETE")
        .await;
    // A member who was added and removed between two syncs is only deleted.
    scene
        .app
        .installation
        .add_member(&scene.herbarium, "dan")
        .await;
    scene.on_member("remove", &dan).await;
    scene
        .assert_rows_of_dan("added and removed", ["DELETE", "DELETE"], "DELETE")
        .await;
}

async fn shared_users_stay_visible_after_leaving(backend: Backend) {
    let mut scene = Fixture::new(backend).await;
    scene
        .on_project(&scene.cas, "/api/account/leave_project", &scene.herbarium)
        .await;
    let membership = "DELETE cc.projects_members herbarium/cas";
    let expected: &[(&str, &[&str])] = &[
        ("ann robot", &[membership, "DELETE cc.users cas"]),
        ("ben", &[membership]),
        (
            "cas",
            &[
                "DELETE cc.projects herbarium",
                membership,
                "DELETE cc.projects_members herbarium/ann",
                "DELETE cc.users ann",
                "DELETE cc.projects_members herbarium/ben",
                "DELETE cc.projects_members herbarium/robot",
                "DELETE cc.users robot",
                "DELETE cc.projects_members herbarium/fay",
                "DELETE cc.users fay",
            ],
        ),
    ];
    scene.audience.assert_rows("left", expected).await;
    scene
        .cas
        .call("/api/account/update", &json!({"name": "Cas C."}))
        .await
        .success();
    scene
        .audience
        .assert_rows("still seen", &[("ben cas", &["UPDATE cc.users cas"])])
        .await;
    let path = format!("/api/p/{}/members/remove", scene.garden);
    scene
        .cas
        .call(&path, &json!({"user": scene.cas.gid}))
        .await
        .success();
    let membership = "DELETE cc.projects_members garden/cas";
    let expected: &[(&str, &[&str])] = &[
        ("ben", &[membership, "DELETE cc.users cas"]),
        (
            "cas",
            &[
                "DELETE cc.projects garden",
                membership,
                "DELETE cc.projects_members garden/ben",
                "DELETE cc.users ben",
            ],
        ),
    ];
    scene
        .audience
        .assert_rows("removed by themself", expected)
        .await;
}

async fn membership_changes_are_delivered_to_members(backend: Backend) {
    let mut scene = Fixture::new(backend).await;
    for (user, name) in [
        (&scene.ben.gid, "ben"),
        (&scene.robot.gid, "robot"),
        (&scene.fay.gid, "fay"),
    ] {
        let row = format!("UPDATE cc.projects_members herbarium/{name}");
        for limit in [json!(100), json!(null)] {
            let body = json!({"user": user, "options": {"rate_limit_per_second": limit}});
            let path = format!("/api/p/{}/members/update", scene.herbarium);
            scene.ann.call(&path, &body).await.success();
            let recipients = if name == "fay" {
                "ann ben cas robot fay"
            } else {
                "ann ben cas robot"
            };
            scene
                .audience
                .assert_rows(&body.to_string(), &[(recipients, &[&row])])
                .await;
            scene.ann.call(&path, &body).await.success();
            scene.audience.assert_rows("the same again", &[]).await;
        }
    }
    let notifications =
        json!({"frequency": "daily", "events": ["all"], "email": "elsewhere@example.org"});
    let body = json!({"user": scene.cas.gid, "options": {"notifications": notifications}});
    scene
        .cas
        .call(&format!("/api/p/{}/members/update", scene.herbarium), &body)
        .await
        .success();
    let expected: &[&str] = &["UPDATE cc.projects_members herbarium/cas"];
    scene
        .audience
        .assert_rows("notifications", &[("ann ben cas robot", expected)])
        .await;
}
