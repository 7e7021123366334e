//! Invitations in the hands of others, after their end, and several answers at once.

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

/// SECURITY-CASES: invitations (Keycloak CVE-2026-1529).
async fn invitation_is_valid_once_and_for_the_invitee_only(backend: Backend) {
    let scene = Fixture::new(backend).await;
    let (ben, eve) = (scene.app.user("ben").await, scene.app.user("eve").await);
    let garden = scene.app.installation.create_project("ann", "Garden").await;
    scene.invite("ben").await;
    // As another, with all that the link says.
    let hostile = json!({
        "project": scene.project, "invitee": ben.gid, "user": ben.gid, "user_gid": ben.gid, "email": "ben@example.org",
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
    // For another project, or another person.
    ben.call("/api/account/accept_invite", &json!({"project": garden}))
        .await
        .assert_unprocessable("not_invited");
    for (invitee, project) in [
        (&ben.gid, &garden),
        (&eve.gid, &scene.project),
        (&scene.project, &ben.gid),
    ] {
        for call in ["init_invite", "decline_invite"] {
            let answer = scene
                .app
                .http
                .open(
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
    // Used once, it brings nobody back.
    scene
        .account(&ben, "accept_invite")
        .await
        .assert_unprocessable("already_member");
    scene.account(&ben, "leave_project").await.success();
    scene.assert_dead(&ben.gid, &ben).await;
    // Withdrawn.
    scene.invite("ben").await;
    scene
        .owner("remove", &json!({"user": ben.gid}))
        .await
        .success();
    scene.assert_dead(&ben.gid, &ben).await;
    // Another account with the address is not the one that is invited.
    scene.invite("ben").await;
    let words = [
        "user",
        "create",
        "--username",
        "ben2",
        "--email",
        "ben@example.org",
        "--password-stdin",
    ];
    scene
        .app
        .installation
        .cli(&words, "correct horse battery staple 9")
        .await
        .assert_success();
    let ben2 = scene
        .app
        .http
        .login("ben2", "correct horse battery staple 9")
        .await
        .token();
    let accept = scene
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
    let scene = Fixture::new(backend).await;
    let (ben, cas) = (scene.app.user("ben").await, scene.app.user("cas").await);
    let eve = scene.app.user("eve").await;
    scene
        .app
        .installation
        .add_member(&scene.project, "ben")
        .await;
    scene.invite("cas").await;
    scene.invite("eve").await;
    scene
        .ann
        .call(
            "/api/projects/transfer",
            &json!({"project": scene.project, "user": ben.gid}),
        )
        .await
        .success();
    // Who was the owner invites nobody any more.
    scene.try_invite("dan").await.assert_forbidden();
    for call in ["resend_invite", "remove"] {
        scene
            .owner(call, &json!({"user": cas.gid}))
            .await
            .assert_forbidden();
    }
    let path = format!("/api/p/{}/members/remove", scene.project);
    ben.call(&path, &json!({"user": scene.ann.gid}))
        .await
        .success();
    scene.account(&cas, "accept_invite").await.success();
    ben.call(&path, &json!({"user": eve.gid})).await.success();
    scene.assert_dead(&eve.gid, &eve).await;
}

/// SECURITY-CASES: recycled names (ZITADEL CVE-2026-55670).
async fn recreated_account_has_no_old_invitations(backend: Backend) {
    let scene = Fixture::new(backend).await;
    let ben = scene.app.user("ben").await;
    scene.invite("ben").await;
    ben.call("/api/account/delete", &json!({"confirm": true}))
        .await
        .success();
    let again = scene.app.user("ben").await;
    assert_ne!(again.gid, ben.gid);
    assert!(!again.init().await.text().contains(&scene.project));
    scene.assert_dead(&ben.gid, &again).await;
}

async fn concurrent_acceptance_and_removal_have_one_outcome(backend: Backend) {
    let scene = Fixture::new(backend).await;
    let ben = scene.app.user("ben").await;
    for _ in 0..10 {
        scene.invite("ben").await;
        let remove = json!({"user": ben.gid});
        let (accepted, removed) = tokio::join!(
            scene.account(&ben, "accept_invite"),
            scene.owner("remove", &remove)
        );
        removed.success();
        if accepted.status != 200 {
            accepted.assert_unprocessable("not_invited");
        }
        scene.assert_dead(&ben.gid, &ben).await;
    }
    // Of two answers, one counts.
    for _ in 0..10 {
        scene.invite("ben").await;
        let (accepted, declined) = tokio::join!(
            scene.account(&ben, "accept_invite"),
            scene.link("decline_invite", &ben.gid)
        );
        let is_in = scene
            .app
            .http
            .project_init(&scene.project, &ben.token)
            .await
            .status
            == 200;
        if is_in {
            accepted.success();
            declined.assert_unprocessable("already_member");
        } else {
            declined.success();
            accepted.assert_invite_invalid();
        }
        scene
            .owner("remove", &json!({"user": ben.gid}))
            .await
            .success();
    }
}

async fn one_of_concurrent_acceptances_succeeds(backend: Backend) {
    let scene = Fixture::new(backend).await;
    let ben = scene.app.user("ben").await;
    scene.invite("ben").await;
    let accept = scene
        .app
        .http
        .post("/api/account/accept_invite")
        .bearer(&ben.token)
        .json(&json!({"project": scene.project}));
    let answers = join_all((0..64).map(|_| accept.clone().send_until_served())).await;
    let (good, bad): (Vec<_>, Vec<_>) = answers.iter().partition(|answer| answer.status == 200);
    assert_eq!(good.len(), 1);
    bad.iter()
        .for_each(|answer| answer.assert_unprocessable("already_member"));
    // So with invitations of a new address: one place.
    let answers = join_all((0..16).map(|_| scene.try_invite("new@example.org"))).await;
    let mut gids: Vec<_> = answers
        .iter()
        .map(|answer| answer.success().0["user"].to_string())
        .collect();
    gids.dedup();
    assert_eq!(gids.len(), 1);
    doorward_tests::eventually("a mail", Duration::from_secs(20), async || {
        (scene.app.smtp.count_to("new@example.org") > 0).then_some(())
    })
    .await;
}

/// SECURITY-CASES: recycled names.
async fn address_takes_precedence_over_username(backend: Backend) {
    let scene = Fixture::new(backend).await;
    let eve = scene
        .app
        .sign_up("eve@example.org", "eve@example.org")
        .await;
    assert_eq!(scene.invite("eve@example.org").await, eve.gid);
    scene
        .owner("remove", &json!({"user": eve.gid}))
        .await
        .success();
    let change = scene
        .app
        .request_email_change(&eve, "eve@example.com")
        .await;
    eve.call("/api/account/update_email", &change)
        .await
        .success();
    assert_ne!(
        scene.invite("eve@example.org").await,
        eve.gid,
        "the address is not hers any more"
    );
    scene
        .account(&eve, "accept_invite")
        .await
        .assert_unprocessable("not_invited");
    assert_eq!(scene.invite("eve@example.com").await, eve.gid);
}

async fn one_user_may_send_only_so_many_invitations(backend: Backend) {
    let few = [
        ("DOORWARD_LOGIN_FAILURES", "1"),
        ("DOORWARD_LOGIN_BACKOFF", "10m"),
        ("DOORWARD_LOGIN_BACKOFF_MAX", "1h"),
    ];
    let app = MailApp::with(backend, &few).await;
    let (ann, ben) = (app.user("ann").await, app.user("ben").await);
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
            // What is refused counts too: it tells who has an address.
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
    // Others are not concerned.
    let garden = app.installation.create_project("ben", "Garden").await;
    let invite = json!({"username_or_email": "ann"});
    ben.call(&format!("/api/p/{garden}/members/invite"), &invite)
        .await
        .success();
}
