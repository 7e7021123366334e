//! Tests the rows about invitations of accounts and of email addresses.

use doorward_tests::{Backend, PASSWORD, installation::gid, on_both_databases};
use serde_json::json;

use crate::sync::visibility::Fixture;

on_both_databases![
    invitation_and_acceptance_are_delivered,
    decline_and_new_invitation_are_delivered,
    placeholder_and_its_signup_are_delivered,
    placeholder_merged_into_an_account_is_delivered,
    removed_placeholder_is_delivered,
];

const INVITED: [(&str, &[&str]); 2] = [
    (
        "ann ben cas robot",
        &[
            "INSERT cc.projects_members herbarium/dan",
            "INSERT cc.users dan",
        ],
    ),
    (
        "dan",
        &[
            "INSERT cc.projects herbarium",
            "INSERT cc.projects_members herbarium/dan",
        ],
    ),
];

impl Fixture {
    async fn invite(&self, name: &str) -> String {
        let (result, _) = self
            .owner("members/invite", &json!({"username_or_email": name}))
            .await
            .success();
        result["user"].as_str().expect("a gid").to_owned()
    }

    /// Returns the parameters of the link that was emailed to a user.
    fn link(&self, user: &str) -> serde_json::Value {
        let invitation = self
            .app
            .installation
            .invitation(&self.herbarium, user)
            .expect("an invitation");
        json!({"invitee": invitation, "project": self.herbarium})
    }
}

async fn invitation_and_acceptance_are_delivered(backend: Backend) {
    let mut scene = Fixture::new(backend).await;
    scene.invite("dan").await;
    scene.audience.assert_rows("invited", &INVITED).await;
    scene
        .on_member("resend_invite", &scene.dan.gid.clone())
        .await;
    scene.invite("dan@example.org").await;
    scene.audience.assert_rows("again", &[]).await;
    scene
        .on_project(&scene.dan, "/api/account/accept_invite", &scene.herbarium)
        .await;
    let membership = "UPDATE cc.projects_members herbarium/dan";
    let expected: &[(&str, &[&str])] = &[
        ("ann ben cas robot", &[membership]),
        (
            "dan",
            &[
                // The project is now fully visible.
                "INSERT cc.projects herbarium",
                membership,
                "INSERT cc.projects_members herbarium/ann",
                "INSERT cc.users ann",
                "INSERT cc.projects_members herbarium/ben",
                "INSERT cc.users ben",
                "INSERT cc.projects_members herbarium/cas",
                "INSERT cc.users cas",
                "INSERT cc.projects_members herbarium/robot",
                "INSERT cc.users robot",
                "INSERT cc.projects_members herbarium/fay",
                "INSERT cc.users fay",
            ],
        ),
    ];
    scene.audience.assert_rows("accepted", expected).await;
}

async fn decline_and_new_invitation_are_delivered(backend: Backend) {
    let mut scene = Fixture::new(backend).await;
    scene.invite("dan").await;
    scene.audience.assert_rows("invited", &INVITED).await;
    let declined: &[(&str, &[&str])] = &[
        (
            "ann ben cas robot",
            &[
                "UPDATE cc.projects_members herbarium/dan",
                "DELETE cc.users dan",
            ],
        ),
        (
            "dan",
            &[
                "DELETE cc.projects herbarium",
                "DELETE cc.projects_members herbarium/dan",
            ],
        ),
    ];
    let invited: &[(&str, &[&str])] = &[
        (
            "ann ben cas robot",
            &[
                "UPDATE cc.projects_members herbarium/dan",
                "INSERT cc.users dan",
            ],
        ),
        INVITED[1],
    ];
    scene
        .on_project(&scene.dan, "/api/account/decline_invite", &scene.herbarium)
        .await;
    scene.audience.assert_rows("declined", declined).await;
    scene
        .on_member("resend_invite", &scene.dan.gid.clone())
        .await;
    scene.audience.assert_rows("resent", invited).await;
    let link = scene.link(&scene.dan.gid);
    scene
        .app
        .http
        .post_anonymous("/api/decline_invite", &link)
        .await
        .success();
    scene
        .audience
        .assert_rows("declined by the link", declined)
        .await;
    scene.invite("dan").await;
    scene.audience.assert_rows("invited again", invited).await;
    scene.on_member("remove", &scene.dan.gid.clone()).await;
    let expected: &[(&str, &[&str])] = &[
        (
            "ann ben cas robot",
            &[
                "DELETE cc.projects_members herbarium/dan",
                "DELETE cc.users dan",
            ],
        ),
        (
            "dan",
            &[
                "DELETE cc.projects herbarium",
                "DELETE cc.projects_members herbarium/dan",
            ],
        ),
    ];
    scene.audience.assert_rows("withdrawn", expected).await;
}

async fn placeholder_and_its_signup_are_delivered(backend: Backend) {
    let mut scene = Fixture::new(backend).await;
    let new = scene.invite("new@example.org").await;
    scene.audience.name(&new, "new");
    let expected: &[&str] = &[
        "INSERT cc.projects_members herbarium/new",
        "INSERT cc.users new",
    ];
    scene
        .audience
        .assert_rows("a placeholder", &[("ann ben cas robot", expected)])
        .await;
    scene.app.smtp.mail_to("new@example.org").await;
    let begun = scene.app.request_signup("new", "new@example.org").await;
    scene.audience.assert_rows("a first step", &[]).await;
    scene
        .app
        .http
        .post_anonymous("/api/signup", &begun)
        .await
        .success();
    scene
        .audience
        .assert_rows(
            "signed up",
            &[("ann ben cas robot", &["UPDATE cc.users new"])],
        )
        .await;
    scene.app.sign_up("zoe", "zoe@example.org").await;
    scene.audience.assert_rows("another user", &[]).await;

    let token = scene.app.http.login("new", PASSWORD).await.token();
    let account = doorward_tests::User {
        gid: new,
        username: "new".to_owned(),
        token,
        http: scene.app.http.clone(),
    };
    scene.audience.add_user(&account).await;
    scene
        .on_project(&account, "/api/account/decline_invite", &scene.herbarium)
        .await;
    let expected: &[(&str, &[&str])] = &[
        (
            "ann ben cas robot",
            &[
                "UPDATE cc.projects_members herbarium/new",
                "DELETE cc.users new",
            ],
        ),
        (
            "new",
            &[
                "DELETE cc.projects herbarium",
                "DELETE cc.projects_members herbarium/new",
            ],
        ),
    ];
    scene.audience.assert_rows("declined", expected).await;
}

async fn placeholder_merged_into_an_account_is_delivered(backend: Backend) {
    let mut scene = Fixture::new(backend).await;
    for (number, address) in ["one@example.org", "two@example.org"]
        .into_iter()
        .enumerate()
    {
        let placeholder = scene.invite(address).await;
        let place_name = format!("place{number}");
        scene.audience.name(&placeholder, &place_name);
        scene.audience.sync("ann ben cas robot").await;
        scene.app.smtp.mail_to(address).await;
        let gone = [
            format!("DELETE cc.projects_members herbarium/{place_name}"),
            format!("DELETE cc.users {place_name}"),
        ];
        if number == 0 {
            // An administrator creates an account with the address.
            let words = [
                "user",
                "create",
                "--username",
                "eve",
                "--email",
                address,
                "--password-stdin",
            ];
            let eve = gid(&scene
                .app
                .installation
                .cli(&words, PASSWORD)
                .await
                .assert_success());
            scene.audience.name(&eve, "eve");
            let expected = [
                &gone[0],
                &gone[1],
                "INSERT cc.projects_members herbarium/eve",
                "INSERT cc.users eve",
            ];
            scene
                .audience
                .assert_rows("created", &[("ann ben cas robot", &expected)])
                .await;
        } else {
            let body = scene.app.request_email_change(&scene.dan, address).await;
            scene
                .dan
                .call("/api/account/update_email", &body)
                .await
                .success();
            let expected = [
                &gone[0],
                &gone[1],
                "INSERT cc.projects_members herbarium/dan",
                "INSERT cc.users dan",
            ];
            let own: &[&str] = &[
                "UPDATE cc.users dan",
                "INSERT cc.projects herbarium",
                "INSERT cc.projects_members herbarium/dan",
            ];
            scene
                .audience
                .assert_rows(
                    "verified",
                    &[("ann ben cas robot", &expected), ("dan", own)],
                )
                .await;
        }
    }
}

async fn removed_placeholder_is_delivered(backend: Backend) {
    let mut scene = Fixture::new(backend).await;
    let new = scene.invite("new@example.org").await;
    scene.audience.name(&new, "new");
    scene.audience.sync("ann ben cas robot").await;
    let link = scene.link(&new);
    scene
        .app
        .http
        .post_anonymous("/api/decline_invite", &link)
        .await
        .success();
    let expected: &[&str] = &[
        "UPDATE cc.projects_members herbarium/new",
        "DELETE cc.users new",
    ];
    scene
        .audience
        .assert_rows("declined by the link", &[("ann ben cas robot", expected)])
        .await;
    scene.on_member("remove", &new).await;
    let expected: &[&str] = &["DELETE cc.projects_members herbarium/new"];
    scene
        .audience
        .assert_rows("removed", &[("ann ben cas robot", expected)])
        .await;
    // A placeholder that is created and removed between two syncs.
    let new = scene.invite("new@example.org").await;
    scene.audience.name(&new, "newer");
    scene.on_member("remove", &new).await;
    let expected: &[&str] = &[
        "DELETE cc.projects_members herbarium/newer",
        "DELETE cc.users newer",
    ];
    scene
        .audience
        .assert_rows("created and removed", &[("ann ben cas robot", expected)])
        .await;
}
