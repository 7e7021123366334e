//! Tests that invitations cannot be used by other users, after their end or twice, and that their
//! number is limited.

use std::time::Duration;

use doorward_tests::{Backend, MailApp, on_both_databases};
use futures_util::future::join_all;
use serde_json::json;

use crate::members::invitations::Fixture;

on_both_databases![
    invitation_is_valid_once_and_for_the_invitee_only,
    invitation_survives_a_change_of_owner,
    recreated_account_has_no_old_invitations,
    concurrent_acceptance_and_removal_have_one_outcome,
    one_of_concurrent_acceptances_succeeds,
    address_takes_precedence_over_username,
    one_user_may_send_only_so_many_invitations,
];

/// Regression test for misused invitations (Keycloak CVE-2026-1529).
async fn invitation_is_valid_once_and_for_the_invitee_only(backend: Backend) {
    let fixture = Fixture::new(backend).await;
    let ben = fixture.app.user("ben").await;
    let eve = fixture.app.user("eve").await;
    let garden = fixture
        .app
        .installation
        .create_project("ann", "Garden")
        .await;
    fixture.invite("ben").await;
    // Another user cannot use the invitation, even with all data of the link.
    let hostile = json!({
        "project": fixture.project, "invitee": ben.gid, "user": ben.gid, "user_gid": ben.gid, "email": "ben@example.org",
        "roles": ["owner"], "role": "owner", "status": "active"
    });
    for call in ["accept_invite", "decline_invite", "leave_project"] {
        let answer = eve.call(&format!("/api/account/{call}"), &hostile).await;
        answer.assert_unprocessable(if call == "leave_project" {
            "not_a_member"
        } else {
            "not_invited"
        });
    }
    // The invitation is not valid for another project or another user.
    ben.call("/api/account/accept_invite", &json!({"project": garden}))
        .await
        .assert_unprocessable("not_invited");
    for (invitee, project) in [
        (&ben.gid, &garden),
        (&eve.gid, &fixture.project),
        (&fixture.project, &ben.gid),
    ] {
        for call in ["init_invite", "decline_invite"] {
            let answer = fixture
                .app
                .http
                .post_anonymous(
                    &format!("/api/{call}"),
                    &json!({"invitee": invitee, "project": project}),
                )
                .await;
            answer.assert_unprocessable("not_invited");
        }
    }
    let (_, data) = ben
        .call("/api/account/accept_invite", &hostile)
        .await
        .success();
    assert_eq!(data["cc.projects_members"][0]["roles"], json!(["member"]));
    // An invitation that was accepted cannot be used again after leaving the project.
    fixture
        .account(&ben, "accept_invite")
        .await
        .assert_unprocessable("already_member");
    fixture.account(&ben, "leave_project").await.success();
    fixture.assert_ended(&ben.gid, &ben).await;
    // An invitation that the owner has removed is invalid.
    fixture.invite("ben").await;
    fixture
        .owner("remove", &json!({"user": ben.gid}))
        .await
        .success();
    fixture.assert_ended(&ben.gid, &ben).await;
    // A second account with the same address cannot use the invitation.
    fixture.invite("ben").await;
    let words = [
        "user",
        "create",
        "--username",
        "ben2",
        "--email",
        "ben@example.org",
        "--password-stdin",
    ];
    fixture
        .app
        .installation
        .cli(&words, "correct horse battery staple 9")
        .await
        .assert_success();
    let ben2 = fixture
        .app
        .http
        .login("ben2", "correct horse battery staple 9")
        .await
        .token();
    let accept = fixture
        .app
        .http
        .post("/api/account/accept_invite")
        .bearer(&ben2)
        .json(&hostile)
        .send()
        .await;
    accept.assert_unprocessable("not_invited");
}

async fn invitation_survives_a_change_of_owner(backend: Backend) {
    let fixture = Fixture::new(backend).await;
    let ben = fixture.app.user("ben").await;
    let cas = fixture.app.user("cas").await;
    let eve = fixture.app.user("eve").await;
    fixture
        .app
        .installation
        .add_member(&fixture.project, "ben")
        .await;
    fixture.invite("cas").await;
    fixture.invite("eve").await;
    fixture
        .ann
        .call(
            "/api/projects/transfer",
            &json!({"project": fixture.project, "user": ben.gid}),
        )
        .await
        .success();
    // The previous owner cannot invite any more.
    fixture.try_invite("dan").await.assert_forbidden();
    for call in ["resend_invite", "remove"] {
        fixture
            .owner(call, &json!({"user": cas.gid}))
            .await
            .assert_forbidden();
    }
    let path = format!("/api/p/{}/members/remove", fixture.project);
    ben.call(&path, &json!({"user": fixture.ann.gid}))
        .await
        .success();
    fixture.account(&cas, "accept_invite").await.success();
    ben.call(&path, &json!({"user": eve.gid})).await.success();
    fixture.assert_ended(&eve.gid, &eve).await;
}

/// Regression test for reused usernames (ZITADEL CVE-2026-55670).
async fn recreated_account_has_no_old_invitations(backend: Backend) {
    let fixture = Fixture::new(backend).await;
    let ben = fixture.app.user("ben").await;
    fixture.invite("ben").await;
    ben.call("/api/account/delete", &json!({"confirm": true}))
        .await
        .success();
    let again = fixture.app.user("ben").await;
    assert_ne!(again.gid, ben.gid);
    assert!(!again.init().await.text().contains(&fixture.project));
    fixture.assert_ended(&ben.gid, &again).await;
}

async fn concurrent_acceptance_and_removal_have_one_outcome(backend: Backend) {
    let fixture = Fixture::new(backend).await;
    let ben = fixture.app.user("ben").await;
    for _ in 0..10 {
        fixture.invite("ben").await;
        let remove = json!({"user": ben.gid});
        let (accepted, removed) = tokio::join!(
            fixture.account(&ben, "accept_invite"),
            fixture.owner("remove", &remove)
        );
        removed.success();
        if accepted.status != 200 {
            accepted.assert_unprocessable("not_invited");
        }
        fixture.assert_ended(&ben.gid, &ben).await;
    }
    // If the invitee accepts and declines concurrently, one of the calls fails.
    for _ in 0..10 {
        fixture.invite("ben").await;
        let (accepted, declined) = tokio::join!(
            fixture.account(&ben, "accept_invite"),
            fixture.link("decline_invite", &ben.gid)
        );
        let is_member = fixture
            .app
            .http
            .project_init(&fixture.project, &ben.token)
            .await
            .status
            == 200;
        if is_member {
            accepted.success();
            declined.assert_unprocessable("already_member");
        } else {
            declined.success();
            accepted.assert_invite_invalid();
        }
        fixture
            .owner("remove", &json!({"user": ben.gid}))
            .await
            .success();
    }
}

async fn one_of_concurrent_acceptances_succeeds(backend: Backend) {
    let fixture = Fixture::new(backend).await;
    let ben = fixture.app.user("ben").await;
    fixture.invite("ben").await;
    let accept = fixture
        .app
        .http
        .post("/api/account/accept_invite")
        .bearer(&ben.token)
        .json(&json!({"project": fixture.project}));
    let answers = join_all((0..64).map(|_| accept.clone().send_until_served())).await;
    let (succeeded, rejected): (Vec<_>, Vec<_>) =
        answers.iter().partition(|answer| answer.status == 200);
    assert_eq!(succeeded.len(), 1);
    rejected
        .iter()
        .for_each(|answer| answer.assert_unprocessable("already_member"));
    // Concurrent invitations of a new address create one placeholder account.
    let answers = join_all((0..16).map(|_| fixture.try_invite("new@example.org"))).await;
    let mut gids: Vec<_> = answers
        .iter()
        .map(|answer| answer.success().0["user"].to_string())
        .collect();
    gids.dedup();
    assert_eq!(gids.len(), 1);
    doorward_tests::eventually("a mail", Duration::from_secs(20), async || {
        (fixture.app.smtp.count_to("new@example.org") > 0).then_some(())
    })
    .await;
}

// A user who changes the address keeps a username that looks like the old one. It must not receive
// invitations to the old address.
async fn address_takes_precedence_over_username(backend: Backend) {
    let fixture = Fixture::new(backend).await;
    let eve = fixture
        .app
        .sign_up("eve@example.org", "eve@example.org")
        .await;
    assert_eq!(fixture.invite("eve@example.org").await, eve.gid);
    fixture
        .owner("remove", &json!({"user": eve.gid}))
        .await
        .success();
    let change = fixture
        .app
        .request_email_change(&eve, "eve@example.com")
        .await;
    eve.call("/api/account/update_email", &change)
        .await
        .success();
    assert_ne!(
        fixture.invite("eve@example.org").await,
        eve.gid,
        "eve has another address now"
    );
    fixture
        .account(&eve, "accept_invite")
        .await
        .assert_unprocessable("not_invited");
    assert_eq!(fixture.invite("eve@example.com").await, eve.gid);
}

async fn one_user_may_send_only_so_many_invitations(backend: Backend) {
    let limits = [
        ("DOORWARD_LOGIN_FAILURES", "1"),
        ("DOORWARD_LOGIN_BACKOFF", "10m"),
        ("DOORWARD_LOGIN_BACKOFF_MAX", "1h"),
    ];
    let app = MailApp::with(backend, &limits).await;
    let ann = app.user("ann").await;
    let ben = app.user("ben").await;
    let project = app.installation.create_project("ann", "Herbarium").await;
    let call = async |name: &str, body: serde_json::Value| {
        ann.call(&format!("/api/p/{project}/members/{name}"), &body)
            .await
    };
    for number in 0..40 {
        if number % 2 == 0 {
            call(
                "invite",
                json!({"username_or_email": format!("new-{number}@example.org")}),
            )
            .await
            .success();
        } else {
            // Rejected calls count, too, because they reveal whether an account exists.
            call("resend_invite", json!({"user": ben.gid}))
                .await
                .assert_unprocessable("not_a_member");
        }
    }
    call("invite", json!({"username_or_email": "ben"}))
        .await
        .assert_throttled();
    call("resend_invite", json!({"user": ben.gid}))
        .await
        .assert_throttled();
    // Other users are not affected.
    let garden = app.installation.create_project("ben", "Garden").await;
    let invite = json!({"username_or_email": "ann"});
    ben.call(&format!("/api/p/{garden}/members/invite"), &invite)
        .await
        .success();
}
