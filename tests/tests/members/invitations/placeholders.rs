//! Tests that an invited address without an account gets a placeholder account, which an account
//! with the verified address takes over.

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
    let fixture = Fixture::new(backend).await;
    let answer = fixture.try_invite("New@Example.org").await;
    let user = answer.success().0["user"]
        .as_str()
        .expect("a gid")
        .to_owned();
    assert_json_eq(&fixture.named_response(&answer, &user), &invited(&place()));
    assert!(!answer.text().to_lowercase().contains("new@example.org"));
    fixture.mail("New@Example.org", &user).await;
    // An address has one placeholder account in all projects and in every letter case.
    assert_eq!(fixture.invite("nEW@example.ORG").await, user);
    let other = fixture
        .app
        .installation
        .create_project("ann", "Garden")
        .await;
    let path = format!("/api/p/{other}/members/invite");
    let body = json!({"username_or_email": "new@example.org"});
    assert_eq!(
        fixture.ann.call(&path, &body).await.success().0["user"],
        json!(user)
    );

    let answer = fixture.link("init_invite", &user).await;
    let project = json!({"gid": "<project>", "name": "Herbarium", "icon": null, "owner": "<ann>", "status": "active"});
    let expected = json!({
        "success": true, "result": {"user": "<user>", "project": "<project>", "has_account": false},
        "data": {"cc.users": {"<user>": place()}, "cc.projects": {"<project>": project}, "cc.projects_members": [membership("invited")]}
    });
    assert_json_eq(&fixture.named_response(&answer, &user), &expected);
    assert_eq!(answer.header("authorization"), None);
    let ben = fixture.app.user("ben").await;
    fixture.invite("ben").await;
    let (result, data) = fixture.link("init_invite", &ben.gid).await.success();
    assert_eq!(result["has_account"], json!(true));
    assert_json_eq(
        &with_names(&data["cc.users"][&ben.gid], &[(&ben.gid, "<user>")]),
        &short("ben", "Ben"),
    );
    // Members see the placeholder account, but no user sees its address.
    let seen = fixture
        .app
        .http
        .project_init(&fixture.project, &fixture.ann.token)
        .await
        .text();
    assert!(
        seen.contains(&user) && !seen.to_lowercase().contains("new@example.org"),
        "{seen}"
    );
}

async fn signup_with_an_invited_address_takes_over_the_placeholder(backend: Backend) {
    let fixture = Fixture::new(backend).await;
    let gid = fixture.invite("New@example.org").await;
    let garden = fixture
        .app
        .installation
        .create_project("ann", "Garden")
        .await;
    let invite = json!({"username_or_email": "new@example.org"});
    fixture
        .ann
        .call(&format!("/api/p/{garden}/members/invite"), &invite)
        .await
        .success();
    fixture.mail("New@example.org", &gid).await;
    fixture.app.smtp.mail_to("New@example.org").await;

    let new = fixture.app.sign_up("newman", "new@example.org").await;
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
    let (result, _) = fixture.link("init_invite", &gid).await.success();
    assert_eq!(result["has_account"], json!(true));
    fixture.account(&new, "accept_invite").await.success();
    let (result, data) = fixture
        .app
        .http
        .project_init(&fixture.project, &fixture.ann.token)
        .await
        .success();
    assert_eq!(result["project_members"].as_array().map(Vec::len), Some(2));
    assert_eq!(data["cc.users"][&gid]["username"], json!("newman"));
    // A second account with the address does not take over the invitations.
    let words = [
        "user",
        "create",
        "--username",
        "other",
        "--email",
        "new@example.org",
        "--password-stdin",
    ];
    let other = fixture
        .app
        .installation
        .cli(&words, "correct horse battery staple 9")
        .await
        .assert_success();
    assert_ne!(doorward_tests::installation::gid(&other), gid);
}

/// Regression test for account pre-hijacking (PocketBase CVE-2024-38351, Vaultwarden
/// CVE-2026-47164).
async fn verified_address_takes_over_invitations(backend: Backend) {
    let fixture = Fixture::new(backend).await;
    let ben = fixture.app.user("ben").await;
    let cas = fixture.app.user("cas").await;
    let placeholder = fixture.invite("New@example.org").await;
    fixture.mail("New@example.org", &placeholder).await;
    // A request to change to the address has no effect before the address is verified.
    let response = cas
        .call(
            "/api/account/update_email_request",
            &json!({"email": "new@example.org"}),
        )
        .await;
    response.success();
    fixture
        .account(&cas, "accept_invite")
        .await
        .assert_unprocessable("not_invited");
    assert!(!cas.init().await.text().contains(&fixture.project));
    fixture.app.smtp.mail_to("new@example.org").await;
    // The address and the account ben are both invited to three projects. In the second, ben is a
    // member; in the third, ben has declined.
    let mut others = Vec::new();
    for name in ["Both", "Member", "Declined"] {
        let project = fixture.app.installation.create_project("ann", name).await;
        let path = format!("/api/p/{project}/members/invite");
        for name in ["new@example.org", "ben"] {
            fixture
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
        fixture.app.smtp.mail_to("New@example.org").await;
    }

    let change = fixture
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
    assert_eq!(status_in(&fixture.project), json!("invited"));
    assert_eq!(
        others
            .iter()
            .map(|project| status_in(project))
            .collect::<Vec<_>>(),
        ["invited", "active", "invited"]
    );
    // The placeholder account is deleted, and its link now belongs to the account.
    let seen = fixture
        .app
        .http
        .project_init(&fixture.project, &fixture.ann.token)
        .await
        .text();
    assert!(!seen.contains(&placeholder), "{seen}");
    let (result, _) = fixture.link("init_invite", &placeholder).await.success();
    assert_eq!(
        (&result["user"], &result["has_account"]),
        (&json!(ben.gid), &json!(true))
    );
    fixture.account(&ben, "accept_invite").await.success();
    assert_eq!(
        fixture
            .app
            .http
            .project_init(&fixture.project, &ben.token)
            .await
            .status,
        200
    );
    assert_eq!(
        fixture
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
    let fixture = Fixture::new(backend).await;
    let ben = fixture.app.user("ben").await;
    let cas = fixture.app.user("cas").await;
    fixture
        .app
        .installation
        .change_user("deactivate", "ben")
        .await;
    let count = async || {
        fixture
            .app
            .installation
            .cli(&["user", "list"], "")
            .await
            .assert_success()
            .items()
            .len()
    };
    for name in ["ben@example.org", "Ben@EXAMPLE.org", "ben"] {
        fixture
            .try_invite(name)
            .await
            .assert_unprocessable("user_not_found");
    }
    assert_eq!(
        count().await,
        3,
        "the calls must not leave a placeholder account"
    );
    // Another active account with the same address is invited instead.
    let words = [
        "user",
        "create",
        "--username",
        "bea",
        "--email",
        "ben@example.org",
        "--password-stdin",
    ];
    let other = fixture
        .app
        .installation
        .cli(&words, "correct horse battery staple 9")
        .await
        .assert_success();
    let other = doorward_tests::installation::gid(&other);
    assert_eq!(fixture.invite("ben@example.org").await, other);
    fixture
        .owner("remove", &json!({"user": other}))
        .await
        .success();
    fixture
        .app
        .installation
        .change_user("deactivate", "bea")
        .await;
    fixture
        .try_invite("ben@example.org")
        .await
        .assert_unprocessable("user_not_found");

    // An open invitation of an account that is deactivated can only be removed.
    fixture.invite("cas").await;
    fixture
        .app
        .installation
        .change_user("deactivate", "cas")
        .await;
    let user = json!({"user": cas.gid});
    fixture
        .owner("resend_invite", &user)
        .await
        .assert_unprocessable("user_not_found");
    fixture
        .try_invite("cas@example.org")
        .await
        .assert_unprocessable("user_not_found");
    fixture
        .owner("deactivate", &user)
        .await
        .assert_unprocessable("not_active");
    fixture.owner("remove", &user).await.success();
    fixture
        .owner("resend_invite", &user)
        .await
        .assert_unprocessable("not_a_member");

    fixture
        .app
        .installation
        .change_user("activate", "ben")
        .await;
    assert_eq!(fixture.invite("ben@example.org").await, ben.gid);
    let token = fixture
        .app
        .http
        .login("ben", doorward_tests::PASSWORD)
        .await
        .token();
    let again = User {
        gid: ben.gid.clone(),
        username: "ben".to_owned(),
        token,
        http: fixture.app.http.clone(),
    };
    fixture.account(&again, "accept_invite").await.success();
}

async fn administrator_created_account_takes_over_invitations(backend: Backend) {
    let fixture = Fixture::new(backend).await;
    let placeholder = fixture.invite("Ben@EXAMPLE.org").await;
    let ben = fixture.app.user("ben").await;
    assert_ne!(placeholder, ben.gid);
    assert_eq!(
        fixture.link("init_invite", &placeholder).await.success().0["user"],
        json!(ben.gid)
    );
    fixture.account(&ben, "accept_invite").await.success();
}

async fn unused_placeholder_is_deleted(backend: Backend) {
    let fixture = Fixture::new(backend).await;
    let dan = fixture.app.user("dan").await;
    let first = fixture.invite("new@example.org").await;
    let garden = fixture
        .app
        .installation
        .create_project("ann", "Garden")
        .await;
    let invite = format!("/api/p/{garden}/members/invite");
    let remove = format!("/api/p/{garden}/members/remove");
    let body = json!({"username_or_email": "new@example.org"});
    let user = json!({"user": first});
    fixture.ann.call(&invite, &body).await.success();
    let count = async || {
        fixture
            .app
            .installation
            .cli(&["user", "list"], "")
            .await
            .assert_success()
            .items()
            .len()
    };
    fixture.owner("remove", &user).await.success();
    assert_eq!(count().await, 3);
    assert_eq!(fixture.invite("new@example.org").await, first);
    fixture.owner("remove", &user).await.success();
    fixture.ann.call(&remove, &user).await.success();
    assert_eq!(count().await, 2);

    let second = fixture.invite("NEW@example.org").await;
    assert_ne!(second, first);
    fixture.assert_ended(&first, &dan).await;
    fixture.link("init_invite", &second).await.success();
    // A deleted project keeps the placeholder account; purging the project deletes it.
    let project = json!({"project": fixture.project});
    fixture
        .ann
        .call("/api/projects/delete", &project)
        .await
        .success();
    fixture.assert_ended(&second, &dan).await;
    fixture
        .ann
        .call("/api/projects/undelete", &project)
        .await
        .success();
    fixture.link("init_invite", &second).await.success();
    fixture
        .ann
        .call("/api/projects/delete", &project)
        .await
        .success();
    fixture
        .ann
        .call("/api/projects/permanent_delete", &project)
        .await
        .success();
    assert_eq!(count().await, 2);
    fixture.assert_ended(&second, &dan).await;
}
