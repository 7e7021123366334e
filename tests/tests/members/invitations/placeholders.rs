//! Addresses without an account: the place that waits for one, and who takes it over.

use doorward_tests::{
    Backend, User, on_both_databases,
    snapshots::{assert_json_eq, with_names},
};
use serde_json::json;

use crate::members::invitations::{Fixture, invited, membership, place, short};

on_both_databases![
    invitee_without_account_gets_a_placeholder,
    signup_with_an_invited_address_takes_over_the_placeholder,
    verified_address_takes_over_invitations,
    address_of_an_inactive_account_cannot_be_invited,
    administrator_created_account_takes_over_invitations,
    unused_placeholder_is_deleted,
];

async fn invitee_without_account_gets_a_placeholder(backend: Backend) {
    let scene = Fixture::new(backend).await;
    let answer = scene.try_invite("New@Example.org").await;
    let user = answer.success().0["user"]
        .as_str()
        .expect("a gid")
        .to_owned();
    assert_json_eq(&scene.told(&answer, &user), &invited(&place()));
    assert!(!answer.text().to_lowercase().contains("new@example.org"));
    scene.mail("New@Example.org", &user).await;
    // One place for an address, in every project and every letter case.
    assert_eq!(scene.invite("nEW@example.ORG").await, user);
    let other = scene.app.installation.create_project("ann", "Garden").await;
    let (path, body) = (
        format!("/api/p/{other}/members/invite"),
        json!({"username_or_email": "new@example.org"}),
    );
    assert_eq!(
        scene.ann.call(&path, &body).await.success().0["user"],
        json!(user)
    );

    let answer = scene.link("init_invite", &user).await;
    let project = json!({"gid": "<project>", "name": "Herbarium", "icon": null, "owner": "<ann>", "status": "active"});
    let expected = json!({
        "success": true, "result": {"user": "<user>", "project": "<project>", "has_account": false},
        "data": {"cc.users": {"<user>": place()}, "cc.projects": {"<project>": project}, "cc.projects_members": [membership("invited")]}
    });
    assert_json_eq(&scene.told(&answer, &user), &expected);
    assert_eq!(answer.header("authorization"), None);
    let ben = scene.app.user("ben").await;
    scene.invite("ben").await;
    let (result, data) = scene.link("init_invite", &ben.gid).await.success();
    assert_eq!(result["has_account"], json!(true));
    assert_json_eq(
        &with_names(&data["cc.users"][&ben.gid], &[(&ben.gid, "<user>")]),
        &short("ben", "Ben"),
    );
    // Members see the place, and nobody sees the address.
    let seen = scene
        .app
        .http
        .project_init(&scene.project, &scene.ann.token)
        .await
        .text();
    assert!(
        seen.contains(&user) && !seen.to_lowercase().contains("new@example.org"),
        "{seen}"
    );
}

async fn signup_with_an_invited_address_takes_over_the_placeholder(backend: Backend) {
    let scene = Fixture::new(backend).await;
    let gid = scene.invite("New@example.org").await;
    let garden = scene.app.installation.create_project("ann", "Garden").await;
    let invite = json!({"username_or_email": "new@example.org"});
    scene
        .ann
        .call(&format!("/api/p/{garden}/members/invite"), &invite)
        .await
        .success();
    scene.mail("New@example.org", &gid).await;
    scene.app.smtp.mail_to("New@example.org").await;

    let new = scene.app.sign_up("newman", "new@example.org").await;
    assert_eq!(new.gid, gid);
    let (result, data) = new.init().await.success();
    assert_eq!(result["user_projects"], json!({}));
    let projects: Vec<_> = data["cc.projects"]
        .as_object()
        .expect("projects")
        .keys()
        .cloned()
        .collect();
    assert_eq!(projects.len(), 2);
    for membership in data["cc.projects_members"].as_array().expect("a list") {
        assert_eq!(
            (&membership["user_gid"], &membership["status"]),
            (&json!(gid), &json!("invited"))
        );
    }
    let (result, _) = scene.link("init_invite", &gid).await.success();
    assert_eq!(result["has_account"], json!(true));
    scene.account(&new, "accept_invite").await.success();
    let (result, data) = scene
        .app
        .http
        .project_init(&scene.project, &scene.ann.token)
        .await
        .success();
    assert_eq!(result["project_members"].as_array().map(Vec::len), Some(2));
    assert_eq!(data["cc.users"][&gid]["username"], json!("newman"));
    // Another account with the address is just another one.
    let words = [
        "user",
        "create",
        "--username",
        "other",
        "--email",
        "new@example.org",
        "--password-stdin",
    ];
    let other = scene
        .app
        .installation
        .cli(&words, "correct horse battery staple 9")
        .await
        .assert_success();
    assert_ne!(doorward_tests::installation::gid(&other), gid);
}

/// SECURITY-CASES: pre-hijacking (PocketBase CVE-2024-38351, Vaultwarden CVE-2026-47164).
async fn verified_address_takes_over_invitations(backend: Backend) {
    let scene = Fixture::new(backend).await;
    let (ben, cas) = (scene.app.user("ben").await, scene.app.user("cas").await);
    let place = scene.invite("New@example.org").await;
    scene.mail("New@example.org", &place).await;
    // To say that it is one's own gives nothing.
    let asked = cas
        .call(
            "/api/account/update_email_request",
            &json!({"email": "new@example.org"}),
        )
        .await;
    asked.success();
    scene
        .account(&cas, "accept_invite")
        .await
        .assert_unprocessable("not_invited");
    assert!(!cas.init().await.text().contains(&scene.project));
    scene.app.smtp.mail_to("new@example.org").await;
    // In one project they are invited by both, in one they are a member, and one they have declined.
    let mut others = Vec::new();
    for name in ["Both", "Member", "Declined"] {
        let project = scene.app.installation.create_project("ann", name).await;
        let path = format!("/api/p/{project}/members/invite");
        for name in ["new@example.org", "ben"] {
            scene
                .ann
                .call(&path, &json!({"username_or_email": name}))
                .await
                .success();
        }
        others.push(project);
    }
    ben.call("/api/account/accept_invite", &json!({"project": others[1]}))
        .await
        .success();
    ben.call(
        "/api/account/decline_invite",
        &json!({"project": others[2]}),
    )
    .await
    .success();
    for _ in 0..3 {
        scene.app.smtp.mail_to("New@example.org").await;
    }

    let change = scene
        .app
        .request_email_change(&ben, "nEw@example.org")
        .await;
    ben.call("/api/account/update_email", &change)
        .await
        .success();
    let (_, data) = ben.init().await.success();
    let status_in = |project: &str| {
        let all = data["cc.projects_members"].as_array().expect("a list");
        let own = all
            .iter()
            .find(|own| own["project_gid"] == json!(project) && own["user_gid"] == json!(ben.gid));
        own.map_or(json!(null), |own| own["status"].clone())
    };
    assert_eq!(status_in(&scene.project), json!("invited"));
    assert_eq!(
        others
            .iter()
            .map(|project| status_in(project))
            .collect::<Vec<_>>(),
        ["invited", "active", "invited"]
    );
    // The place is gone. Its link leads to the account.
    let seen = scene
        .app
        .http
        .project_init(&scene.project, &scene.ann.token)
        .await
        .text();
    assert!(!seen.contains(&place), "{seen}");
    let (result, _) = scene.link("init_invite", &place).await.success();
    assert_eq!(
        (&result["user"], &result["has_account"]),
        (&json!(ben.gid), &json!(true))
    );
    scene.account(&ben, "accept_invite").await.success();
    assert_eq!(
        scene
            .app
            .http
            .project_init(&scene.project, &ben.token)
            .await
            .status,
        200
    );
    assert_eq!(
        scene
            .app
            .installation
            .cli(&["user", "list"], "")
            .await
            .assert_success()
            .items()
            .len(),
        3
    );
}

async fn address_of_an_inactive_account_cannot_be_invited(backend: Backend) {
    let scene = Fixture::new(backend).await;
    let (ben, cas) = (scene.app.user("ben").await, scene.app.user("cas").await);
    scene
        .app
        .installation
        .change_user("deactivate", "ben")
        .await;
    let count = async || {
        scene
            .app
            .installation
            .cli(&["user", "list"], "")
            .await
            .assert_success()
            .items()
            .len()
    };
    for name in ["ben@example.org", "Ben@EXAMPLE.org", "ben"] {
        scene
            .try_invite(name)
            .await
            .assert_unprocessable("user_not_found");
    }
    assert_eq!(count().await, 3, "no placeholder is left behind");
    // Another account with the same address can answer, so it is the one that is invited.
    let words = [
        "user",
        "create",
        "--username",
        "bea",
        "--email",
        "ben@example.org",
        "--password-stdin",
    ];
    let other = scene
        .app
        .installation
        .cli(&words, "correct horse battery staple 9")
        .await
        .assert_success();
    let other = doorward_tests::installation::gid(&other);
    assert_eq!(scene.invite("ben@example.org").await, other);
    scene
        .owner("remove", &json!({"user": other}))
        .await
        .success();
    scene
        .app
        .installation
        .change_user("deactivate", "bea")
        .await;
    scene
        .try_invite("ben@example.org")
        .await
        .assert_unprocessable("user_not_found");

    // Of an invitation that is open when the account is deactivated, only the end is left.
    scene.invite("cas").await;
    scene
        .app
        .installation
        .change_user("deactivate", "cas")
        .await;
    let user = json!({"user": cas.gid});
    scene
        .owner("resend_invite", &user)
        .await
        .assert_unprocessable("user_not_found");
    scene
        .try_invite("cas@example.org")
        .await
        .assert_unprocessable("user_not_found");
    scene
        .owner("deactivate", &user)
        .await
        .assert_unprocessable("not_active");
    scene.owner("remove", &user).await.success();
    scene
        .owner("resend_invite", &user)
        .await
        .assert_unprocessable("not_a_member");

    scene.app.installation.change_user("activate", "ben").await;
    assert_eq!(scene.invite("ben@example.org").await, ben.gid);
    let token = scene
        .app
        .http
        .login("ben", doorward_tests::PASSWORD)
        .await
        .token();
    let again = User {
        gid: ben.gid.clone(),
        username: "ben".to_owned(),
        token,
        http: scene.app.http.clone(),
    };
    scene.account(&again, "accept_invite").await.success();
}

async fn administrator_created_account_takes_over_invitations(backend: Backend) {
    let scene = Fixture::new(backend).await;
    let place = scene.invite("Ben@EXAMPLE.org").await;
    let ben = scene.app.user("ben").await;
    assert_ne!(place, ben.gid);
    assert_eq!(
        scene.link("init_invite", &place).await.success().0["user"],
        json!(ben.gid)
    );
    scene.account(&ben, "accept_invite").await.success();
}

async fn unused_placeholder_is_deleted(backend: Backend) {
    let scene = Fixture::new(backend).await;
    let dan = scene.app.user("dan").await;
    let first = scene.invite("new@example.org").await;
    let garden = scene.app.installation.create_project("ann", "Garden").await;
    let (invite, remove) = (
        format!("/api/p/{garden}/members/invite"),
        format!("/api/p/{garden}/members/remove"),
    );
    let (body, user) = (
        json!({"username_or_email": "new@example.org"}),
        json!({"user": first}),
    );
    scene.ann.call(&invite, &body).await.success();
    let count = async || {
        scene
            .app
            .installation
            .cli(&["user", "list"], "")
            .await
            .assert_success()
            .items()
            .len()
    };
    scene.owner("remove", &user).await.success();
    assert_eq!(count().await, 3);
    assert_eq!(scene.invite("new@example.org").await, first);
    scene.owner("remove", &user).await.success();
    scene.ann.call(&remove, &user).await.success();
    assert_eq!(count().await, 2);

    let second = scene.invite("NEW@example.org").await;
    assert_ne!(second, first);
    scene.assert_dead(&first, &dan).await;
    scene.link("init_invite", &second).await.success();
    // With its project it goes too; a deleted one keeps it.
    let project = json!({"project": scene.project});
    scene
        .ann
        .call("/api/projects/delete", &project)
        .await
        .success();
    scene.assert_dead(&second, &dan).await;
    scene
        .ann
        .call("/api/projects/undelete", &project)
        .await
        .success();
    scene.link("init_invite", &second).await.success();
    scene
        .ann
        .call("/api/projects/delete", &project)
        .await
        .success();
    scene
        .ann
        .call("/api/projects/permanent_delete", &project)
        .await
        .success();
    assert_eq!(count().await, 2);
    scene.assert_dead(&second, &dan).await;
}
