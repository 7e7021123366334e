//! Tests that the random id of an invitation is only in the emailed link, and that a caller without
//! a token needs it to view or decline the invitation.

use doorward_tests::{Backend, ReceivedMail, mail_app::APP_URL, on_both_databases};
use serde_json::{Value, json};

use crate::members::invitations::Fixture;

on_both_databases![
    no_response_and_no_log_has_the_id_of_an_invitation,
    gids_cannot_replace_invitation_ids,
    sending_again_keeps_the_id_and_a_new_invitation_has_a_new_one,
    legacy_link_is_invalid_until_resent,
    declining_is_audited_and_viewing_is_not,
];

/// Returns the id in the link of a mail.
fn id_in(mail: &ReceivedMail) -> String {
    let start = format!("{APP_URL}/invite?invitee=");
    let (_, rest) = mail
        .text
        .split_once(&start)
        .unwrap_or_else(|| panic!("no link: {}", mail.text));
    rest.split('&').next().expect("an id").to_owned()
}

impl Fixture {
    /// Calls an operation with an id as it is in a link.
    async fn open_link(&self, call: &str, invitee: &str) -> doorward_tests::Response {
        self.app
            .http
            .post_anonymous(
                &format!("/api/{call}"),
                &json!({"invitee": invitee, "project": self.project}),
            )
            .await
    }
}

async fn no_response_and_no_log_has_the_id_of_an_invitation(backend: Backend) {
    let fixture = Fixture::new(backend).await;
    let ben = fixture.app.user("ben").await;
    fixture
        .app
        .installation
        .add_member(&fixture.project, "ben")
        .await;
    let cursor = ben.init().await.success().0["cc.cursor"].clone();
    let mut answers = vec![fixture.try_invite("new@example.org").await];
    let new = answers[0].success().0["user"]
        .as_str()
        .expect("a gid")
        .to_owned();
    let id = id_in(&fixture.app.smtp.mail_to("new@example.org").await);
    assert_ne!(id, new);
    assert_eq!(id.as_bytes()[14], b'4', "{id} is not random");
    answers.push(fixture.owner("resend_invite", &json!({"user": new})).await);
    assert_eq!(
        id_in(&fixture.app.smtp.mail_to("new@example.org").await),
        id
    );
    for member in [&fixture.ann, &ben] {
        answers.push(member.init().await);
        answers.push(
            fixture
                .app
                .http
                .project_init(&fixture.project, &member.token)
                .await,
        );
        answers.push(
            member
                .call(
                    "/api/members/get",
                    &json!({"project": fixture.project, "member": new}),
                )
                .await,
        );
        answers.push(member.call("/api/users/get", &json!({"user": new})).await);
        answers.push(
            member
                .call("/sync/get", &json!({"cc_cursor": cursor}))
                .await,
        );
    }
    answers.push(fixture.open_link("init_invite", &id).await);
    let new_user = fixture.app.sign_up("newman", "new@example.org").await;
    answers.push(new_user.init().await);
    answers.push(fixture.account(&new_user, "accept_invite").await);
    for answer in &answers {
        answer.success();
        assert!(!answer.text().contains(&id), "{answer:?}");
    }
    for words in [
        &["user", "show", "newman"] as &[&str],
        &["audit"],
        &["member", "list", "--project", &fixture.project],
    ] {
        let output = fixture.app.installation.cli(words, "").await;
        assert!(!output.stdout.contains(&id), "{output}");
    }
    assert!(!fixture.app.process.stderr().contains(&id));
}

async fn gids_cannot_replace_invitation_ids(backend: Backend) {
    let fixture = Fixture::new(backend).await;
    let ben = fixture.app.user("ben").await;
    let cas = fixture.app.user("cas").await;
    fixture
        .app
        .installation
        .add_member(&fixture.project, "ben")
        .await;
    let garden = fixture
        .app
        .installation
        .create_project("ann", "Garden")
        .await;
    let new = fixture.invite("new@example.org").await;
    let mut ids = vec![id_in(&fixture.app.smtp.mail_to("new@example.org").await)];
    fixture.invite("cas").await;
    ids.push(id_in(&fixture.app.smtp.mail_to("cas@example.org").await));
    assert_ne!(ids[0], ids[1]);
    let random = "0f8fad5b-d9cb-469f-a165-70867728950e";
    for call in ["init_invite", "decline_invite"] {
        for invitee in [
            new.as_str(),
            &cas.gid,
            &ben.gid,
            &fixture.ann.gid,
            &fixture.project,
            random,
        ] {
            fixture
                .open_link(call, invitee)
                .await
                .assert_unprocessable("not_invited");
            // The response is the same with a token.
            let body = json!({"invitee": invitee, "project": fixture.project});
            ben.call(&format!("/api/{call}"), &body)
                .await
                .assert_unprocessable("not_invited");
        }
        for (invitee, project) in [
            (&ids[0], garden.as_str()),
            (&ids[0], random),
            (&ids[0], new.as_str()),
        ] {
            let body = json!({"invitee": invitee, "project": project});
            fixture
                .app
                .http
                .post_anonymous(&format!("/api/{call}"), &body)
                .await
                .assert_unprocessable("not_invited");
        }
    }
    for id in &ids {
        fixture
            .open_link("init_invite", &id.to_uppercase())
            .await
            .success();
        fixture.open_link("decline_invite", id).await.success();
    }
}

async fn sending_again_keeps_the_id_and_a_new_invitation_has_a_new_one(backend: Backend) {
    let fixture = Fixture::new(backend).await;
    let ben = fixture.app.user("ben").await;
    let user = json!({"user": ben.gid});
    let next = async || id_in(&fixture.app.smtp.mail_to("ben@example.org").await);
    fixture.invite("ben").await;
    let first = next().await;
    fixture.owner("resend_invite", &user).await.success();
    assert_eq!(next().await, first);
    fixture.invite("ben@example.org").await;
    assert_eq!(next().await, first);

    fixture.open_link("decline_invite", &first).await.success();
    fixture
        .open_link("init_invite", &first)
        .await
        .assert_invite_invalid();
    fixture.owner("resend_invite", &user).await.success();
    let second = next().await;
    assert_ne!(second, first);
    fixture
        .open_link("init_invite", &first)
        .await
        .assert_unprocessable("not_invited");
    fixture
        .open_link("decline_invite", &first)
        .await
        .assert_unprocessable("not_invited");
    fixture.open_link("init_invite", &second).await.success();

    fixture.owner("remove", &user).await.success();
    fixture
        .open_link("init_invite", &second)
        .await
        .assert_unprocessable("not_invited");
    fixture.invite("ben").await;
    let third = next().await;
    assert!(third != first && third != second);
    fixture.account(&ben, "accept_invite").await.success();
    fixture
        .open_link("init_invite", &third)
        .await
        .assert_unprocessable("already_member");
    fixture.owner("deactivate", &user).await.success();
    fixture
        .open_link("init_invite", &third)
        .await
        .assert_invite_invalid();
}

async fn legacy_link_is_invalid_until_resent(backend: Backend) {
    let fixture = Fixture::new(backend).await;
    let new = fixture.invite("new@example.org").await;
    fixture.app.smtp.mail_to("new@example.org").await;
    let databases = &fixture.app.installation.databases;
    doorward_tests::sql::execute(
        &databases.directory,
        "UPDATE memberships SET invitation_id = NULL",
    );
    for call in ["init_invite", "decline_invite"] {
        fixture
            .open_link(call, &new)
            .await
            .assert_unprocessable("not_invited");
    }
    fixture
        .owner("resend_invite", &json!({"user": new}))
        .await
        .success();
    let id = id_in(&fixture.app.smtp.mail_to("new@example.org").await);
    fixture.open_link("init_invite", &id).await.success();
}

async fn declining_is_audited_and_viewing_is_not(backend: Backend) {
    let fixture = Fixture::new(backend).await;
    let ben = fixture.app.user("ben").await;
    let new = fixture.invite("new@example.org").await;
    fixture.invite("ben").await;
    fixture.link("init_invite", &new).await.success();
    fixture.link("decline_invite", &new).await.success();
    fixture
        .link("decline_invite", &new)
        .await
        .assert_unprocessable("not_invited");
    fixture.account(&ben, "decline_invite").await.success();
    let trail = fixture
        .app
        .installation
        .cli(&["audit", "--action", "invitation_declined"], "")
        .await
        .assert_success()
        .items();
    let facts = |record: &Value| {
        assert!(record["request_id"].is_string());
        ["user", "by", "project", "address", "detail"].map(|name| record[name].clone())
    };
    let expected = [
        [
            json!(new),
            json!(null),
            json!(fixture.project),
            json!("127.0.0.1"),
            json!(null),
        ],
        [
            json!(ben.gid),
            json!(ben.gid),
            json!(fixture.project),
            json!("127.0.0.1"),
            json!(null),
        ],
    ];
    assert_eq!(trail.iter().map(facts).collect::<Vec<_>>(), expected);
    let all = fixture
        .app
        .installation
        .cli(&["audit"], "")
        .await
        .assert_success()
        .stdout;
    assert!(
        !all.contains("init_invite") && !all.contains("invitation_opened"),
        "{all}"
    );
}
