//! Tests invitations from the mail to the membership: the responses of each call, and when an
//! invitation is open.

pub(crate) mod misuse;
pub(crate) mod placeholders;
pub(crate) mod secrets;

use std::{collections::HashMap, sync::Mutex};

use doorward_tests::{
    App, Backend, MailApp, ReceivedMail, Response, User,
    assertions::{assert_method, assert_requires_account},
    mail_app::APP_URL,
    on_both_databases,
    snapshots::{assert_json_eq, with_names},
};
use serde_json::{Value, json};

use crate::api_keys::calls::UNKNOWN_GID;

on_both_databases![
    account_is_invited_by_username_or_by_email_in_every_letter_case,
    first_of_several_accounts_is_invited,
    invitation_mail_uses_the_invitees_language,
    invitations_require_mail,
    declined_invitee_can_be_invited_again,
    account_accepts_and_becomes_a_member,
    account_declines,
    link_declines_without_an_account,
    invalid_invitees_are_rejected,
    first_bad_parameter_is_reported,
];

/// A project of ann, and the invitations that tests have sent.
struct Fixture {
    app: MailApp,
    ann: User,
    project: String,
    /// Id of the newest invitation of each user, also after its end.
    invitations: Mutex<HashMap<String, String>>,
}

impl Fixture {
    async fn new(backend: Backend) -> Self {
        let app = MailApp::start(backend).await;
        let ann = app.user("ann").await;
        let project = app.installation.create_project("ann", "Herbarium").await;
        Self {
            app,
            ann,
            project,
            invitations: Mutex::default(),
        }
    }

    /// Returns the id of a user's open invitation or else of the last one.
    fn invitation(&self, user: &str) -> String {
        let mut known = self.invitations.lock().expect("no panic");
        if let Some(id) = self.app.installation.invitation(&self.project, user) {
            known.insert(user.to_owned(), id);
        }
        known
            .get(user)
            .cloned()
            .unwrap_or_else(|| UNKNOWN_GID.to_owned())
    }

    /// Calls an operation on members as the owner.
    async fn owner(&self, call: &str, body: &Value) -> Response {
        self.ann
            .call(&format!("/api/p/{}/members/{call}", self.project), body)
            .await
    }

    async fn try_invite(&self, name: &str) -> Response {
        self.owner("invite", &json!({"username_or_email": name}))
            .await
    }

    /// Invites a user and returns the gid.
    async fn invite(&self, name: &str) -> String {
        let gid = self.try_invite(name).await.success().0["user"]
            .as_str()
            .expect("a gid")
            .to_owned();
        self.invitation(&gid);
        gid
    }

    /// Calls an operation on the caller's own membership.
    async fn account(&self, user: &User, call: &str) -> Response {
        user.call(
            &format!("/api/account/{call}"),
            &json!({"project": self.project}),
        )
        .await
    }

    /// Calls an operation with the id in the link that was mailed to a user.
    async fn link(&self, call: &str, user: &str) -> Response {
        let invitee = self.invitation(user);
        self.app
            .http
            .post_anonymous(
                &format!("/api/{call}"),
                &json!({"invitee": invitee, "project": self.project}),
            )
            .await
    }

    /// Asserts that an invitation has ended for its link and for an account.
    async fn assert_ended(&self, invitee: &str, user: &User) {
        for answer in [
            self.link("init_invite", invitee).await,
            self.link("decline_invite", invitee).await,
            self.account(user, "accept_invite").await,
            self.account(user, "decline_invite").await,
        ] {
            answer.assert_unprocessable("not_invited");
        }
        self.app
            .http
            .project_init(&self.project, &user.token)
            .await
            .assert_forbidden();
    }

    /// Returns a complete successful response with names in place of ids.
    fn named_response(&self, answer: &Response, user: &str) -> Value {
        answer.success();
        with_names(
            &answer.json(),
            &[
                (user, "<user>"),
                (&self.project, "<project>"),
                (&self.ann.gid, "<ann>"),
            ],
        )
    }

    /// Waits for the next mail to this address and asserts that it has the link of the invitation.
    async fn mail(&self, address: &str, user: &str) -> ReceivedMail {
        let mail = self.app.smtp.mail_to(address).await;
        let invitee = self.invitation(user);
        let link = format!(
            "{APP_URL}/invite?invitee={invitee}&project={}",
            self.project
        );
        assert!(
            mail.text.lines().any(|line| line.trim() == link),
            "{}",
            mail.text
        );
        assert!(
            mail.html.contains(&link.replace('&', "&amp;")),
            "{}",
            mail.html
        );
        assert!(
            mail.text.contains("Ann") && mail.text.contains("Herbarium"),
            "{}",
            mail.text
        );
        mail
    }
}

fn invited(user: &Value) -> Value {
    let membership = json!({
        "project_gid": "<project>", "user_gid": "<user>", "status": "invited", "roles": ["member"],
        "options": {"rate_limit_per_second": null}
    });
    json!({
        "success": true, "result": {"user": "<user>"},
        "data": {"cc.users": {"<user>": user}, "cc.projects_members": [membership]}
    })
}

fn short(username: &str, name: &str) -> Value {
    json!({"gid": "<user>", "username": username, "name": name, "avatar": null, "status": "active"})
}

/// Returns a placeholder account.
fn place() -> Value {
    json!({"gid": "<user>", "username": null, "name": "", "avatar": null, "status": "invited"})
}

fn membership(status: &str) -> Value {
    json!({"project_gid": "<project>", "user_gid": "<user>", "status": status, "roles": ["member"]})
}

fn own_membership(status: &str, email: &str) -> Value {
    let mut own = membership(status);
    own["options"] = json!({
        "notifications": {"email": email, "events": ["all"], "frequency": "immediate"}, "rate_limit_per_second": null
    });
    own
}

async fn account_is_invited_by_username_or_by_email_in_every_letter_case(backend: Backend) {
    let fixture = Fixture::new(backend).await;
    let ben = fixture.app.user("ben").await;
    for name in [
        "ben",
        "ben@example.org",
        "Ben@Example.ORG",
        "BEN@EXAMPLE.ORG",
    ] {
        let answer = fixture.try_invite(name).await;
        assert_json_eq(
            &fixture.named_response(&answer, &ben.gid),
            &invited(&short("ben", "Ben")),
        );
        fixture.mail("ben@example.org", &ben.gid).await;
    }
    let again = fixture
        .owner("resend_invite", &json!({"user": ben.gid}))
        .await;
    assert_json_eq(
        &fixture.named_response(&again, &ben.gid),
        &invited(&short("ben", "Ben")),
    );
    fixture.mail("ben@example.org", &ben.gid).await;
    // An invited user is not a member and sees only the summary of the project.
    fixture
        .app
        .http
        .project_init(&fixture.project, &ben.token)
        .await
        .assert_forbidden();
    let (result, data) = ben.init().await.success();
    assert_eq!(result["user_projects"], json!({}));
    assert_eq!(
        data["cc.projects_members"].as_array().map(Vec::len),
        Some(1)
    );
    assert!(
        data["cc.projects"][&fixture.project]
            .get("options")
            .is_none()
    );
    assert!(data["cc.users"].get(&fixture.ann.gid).is_none());
    fixture
        .try_invite("BEN")
        .await
        .assert_unprocessable("user_not_found");
}

async fn first_of_several_accounts_is_invited(backend: Backend) {
    let fixture = Fixture::new(backend).await;
    let mut gids = Vec::new();
    for name in ["cas", "bea", "dan"] {
        let words = [
            "user",
            "create",
            "--username",
            name,
            "--email",
            "We@example.org",
            "--password-stdin",
        ];
        let created = fixture
            .app
            .installation
            .cli(&words, "correct horse battery staple 9")
            .await;
        gids.push(doorward_tests::installation::gid(&created.assert_success()));
    }
    assert_eq!(fixture.invite("we@example.org").await, gids[1]);
    assert_eq!(fixture.invite("dan").await, gids[2]);
    fixture
        .app
        .installation
        .change_user("deactivate", "bea")
        .await;
    assert_eq!(fixture.invite("we@example.org").await, gids[0]);
    fixture
        .try_invite("bea")
        .await
        .assert_unprocessable("user_not_found");
}

async fn invitation_mail_uses_the_invitees_language(backend: Backend) {
    let fixture = Fixture::new(backend).await;
    let ben = fixture.app.user("ben").await;
    ben.call("/api/account/update", &json!({"language": "nl-be"}))
        .await
        .success();
    fixture
        .ann
        .call("/api/account/update", &json!({"language": "de"}))
        .await
        .success();
    fixture.invite("ben").await;
    let mail = fixture.mail("ben@example.org", &ben.gid).await;
    assert!(mail.text.contains("nodigt je uit"), "{}", mail.text);
    // The language of an invitee without an account is unknown, so the inviter's language is used.
    let new = fixture.invite("new@example.org").await;
    let mail = fixture.mail("new@example.org", &new).await;
    assert!(mail.text.contains("lädt Sie"), "{}", mail.text);
    fixture
        .ann
        .call("/api/account/update", &json!({"language": "fr"}))
        .await
        .success();
    let other = fixture.invite("other@example.org").await;
    let mail = fixture.mail("other@example.org", &other).await;
    assert!(mail.text.contains("invites you"), "{}", mail.text);
    // Links start with the configured address of the app, not with the host of the request.
    let path = format!("/api/p/{}/members/resend_invite", fixture.project);
    let call = fixture
        .app
        .http
        .post(&path)
        .bearer(&fixture.ann.token)
        .header("x-forwarded-host", "evil.example");
    call.header("host", "evil.example")
        .json(&json!({"user": other}))
        .send()
        .await
        .success();
    let mail = fixture.mail("other@example.org", &other).await;
    assert!(!mail.raw.contains("evil.example"));
}

async fn invitations_require_mail(backend: Backend) {
    let app = App::start(backend).await;
    let ann = app.user("ann").await;
    let ben = app.user("ben").await;
    let project = app.installation.create_project("ann", "Herbarium").await;
    let path = |call: &str| format!("/api/p/{project}/members/{call}");
    for name in ["ben", "ben@example.org", "new@example.org", "nobody"] {
        let body = json!({"username_or_email": name});
        ann.call(&path("invite"), &body).await.assert_unavailable();
        ben.call(&path("invite"), &body).await.assert_forbidden();
    }
    ann.call(&path("resend_invite"), &json!({"user": ben.gid}))
        .await
        .assert_unavailable();
    let (_, data) = app.http.project_init(&project, &ann.token).await.success();
    assert_eq!(
        data["cc.projects_members"].as_array().map(Vec::len),
        Some(1)
    );
    assert_eq!(
        app.installation
            .cli(&["user", "list"], "")
            .await
            .assert_success()
            .items()
            .len(),
        2
    );
}

async fn declined_invitee_can_be_invited_again(backend: Backend) {
    let fixture = Fixture::new(backend).await;
    let ben = fixture.app.user("ben").await;
    let user = json!({"user": ben.gid});
    fixture.invite("ben").await;
    fixture
        .owner(
            "update",
            &json!({"user": ben.gid, "options": {"rate_limit_per_second": 700}}),
        )
        .await
        .success();
    for call in ["invite", "resend_invite"] {
        fixture.account(&ben, "decline_invite").await.success();
        fixture
            .account(&ben, "accept_invite")
            .await
            .assert_invite_invalid();
        fixture
            .link("init_invite", &ben.gid)
            .await
            .assert_invite_invalid();
        let answer = match call {
            "invite" => fixture.try_invite("ben").await,
            _ => fixture.owner(call, &user).await,
        };
        let (_, data) = answer.success();
        assert_eq!(data["cc.projects_members"][0]["status"], json!("invited"));
        fixture.link("init_invite", &ben.gid).await.success();
    }
    let (_, data) = fixture.account(&ben, "accept_invite").await.success();
    assert_eq!(
        data["cc.projects_members"][0]["options"]["rate_limit_per_second"],
        json!(700)
    );
    fixture
        .owner("resend_invite", &user)
        .await
        .assert_unprocessable("already_member");
    fixture
        .try_invite("ben")
        .await
        .assert_unprocessable("already_member");
    fixture
        .try_invite("ann")
        .await
        .assert_unprocessable("already_member");
    fixture
        .owner("resend_invite", &json!({"user": UNKNOWN_GID}))
        .await
        .assert_unprocessable("not_a_member");
    fixture.owner("deactivate", &user).await.success();
    fixture
        .try_invite("ben")
        .await
        .assert_unprocessable("inactive");
}

async fn account_accepts_and_becomes_a_member(backend: Backend) {
    let fixture = Fixture::new(backend).await;
    let ben = fixture.app.user("ben").await;
    fixture.invite("ben").await;
    let answer = fixture.account(&ben, "accept_invite").await;
    let accepted = fixture.named_response(&answer, &ben.gid);
    let (_, data) = fixture
        .app
        .http
        .project_init(&fixture.project, &fixture.ann.token)
        .await
        .success();
    let full = with_names(
        &data["cc.projects"],
        &[(&fixture.project, "<project>"), (&fixture.ann.gid, "<ann>")],
    );
    assert!(
        full["<project>"]["options"]["channels"].is_object()
            && full["<project>"]["build"] == json!(1)
    );
    let expected = json!({
        "success": true, "result": {"project": "<project>"},
        "data": {"cc.projects": full, "cc.projects_members": [own_membership("active", "ben@example.org")]}
    });
    assert_json_eq(&accepted, &expected);
    let token = answer.token();
    assert_ne!(token, ben.token);
    let (result, _) = fixture
        .app
        .http
        .project_init(&fixture.project, &token)
        .await
        .success();
    assert_eq!(
        result["user_projects"],
        json!({&fixture.project: ["member"]})
    );
    for call in ["accept_invite", "decline_invite"] {
        fixture
            .account(&ben, call)
            .await
            .assert_unprocessable("already_member");
    }
    for call in ["init_invite", "decline_invite"] {
        fixture
            .link(call, &ben.gid)
            .await
            .assert_unprocessable("already_member");
    }
}

async fn account_declines(backend: Backend) {
    let fixture = Fixture::new(backend).await;
    let ben = fixture.app.user("ben").await;
    fixture.invite("ben").await;
    let answer = fixture.account(&ben, "decline_invite").await;
    let expected = json!({
        "success": true, "result": {"project": "<project>"},
        "data": {"cc.projects_members": [own_membership("declined", "ben@example.org")]}
    });
    assert_json_eq(&fixture.named_response(&answer, &ben.gid), &expected);
    assert!(!ben.init().await.text().contains(&fixture.project));
    fixture
        .account(&ben, "decline_invite")
        .await
        .assert_unprocessable("not_invited");
    fixture
        .account(&ben, "accept_invite")
        .await
        .assert_invite_invalid();
    let (_, data) = fixture
        .ann
        .call(
            "/api/members/get",
            &json!({"project": fixture.project, "member": ben.gid}),
        )
        .await
        .success();
    assert_eq!(data["cc.projects_members"][0]["status"], json!("declined"));
}

async fn link_declines_without_an_account(backend: Backend) {
    let fixture = Fixture::new(backend).await;
    let new = fixture.invite("new@example.org").await;
    fixture.mail("new@example.org", &new).await;
    let answer = fixture.link("decline_invite", &new).await;
    let expected = json!({
        "success": true, "result": {"project": "<project>"}, "data": {"cc.projects_members": [membership("declined")]}
    });
    assert_json_eq(&fixture.named_response(&answer, &new), &expected);
    fixture
        .link("init_invite", &new)
        .await
        .assert_invite_invalid();
    fixture
        .link("decline_invite", &new)
        .await
        .assert_unprocessable("not_invited");
    // A declined invitation stays declined when the invitee signs up later.
    let user = fixture.app.sign_up("new", "new@example.org").await;
    assert_eq!(user.gid, new);
    assert!(!user.init().await.text().contains(&fixture.project));
    fixture
        .account(&user, "accept_invite")
        .await
        .assert_invite_invalid();
    assert_eq!(fixture.invite("new").await, new);
    fixture.account(&user, "accept_invite").await.success();
}

async fn invalid_invitees_are_rejected(backend: Backend) {
    let fixture = Fixture::new(backend).await;
    let robot = fixture.ann.create_api_user(&fixture.project, "Robot").await;
    let long = format!("{}@example.org", "x".repeat(300));
    for name in [
        "",
        " ",
        "nobody",
        "Ann ",
        "@",
        "a@",
        "@b",
        "a b@example.org",
        "a@b@c",
        &robot.gid,
        &fixture.ann.gid,
        &long,
    ] {
        let answer = fixture.try_invite(name).await;
        println!("{name:?}: {answer:?}");
        answer.assert_unprocessable("user_not_found");
    }
    fixture
        .owner("resend_invite", &json!({"user": robot.gid}))
        .await
        .assert_unprocessable("api_user");
    let (_, data) = fixture
        .app
        .http
        .project_init(&fixture.project, &fixture.ann.token)
        .await
        .success();
    assert_eq!(
        data["cc.projects_members"].as_array().map(Vec::len),
        Some(2)
    );
    // An administrator cannot activate or deactivate a placeholder account.
    let placeholder = fixture.invite("new@example.org").await;
    for change in ["activate", "deactivate"] {
        fixture
            .app
            .installation
            .cli(&["user", change, &placeholder], "")
            .await
            .assert_failure(1);
    }
    fixture.link("init_invite", &placeholder).await.success();
}

async fn first_bad_parameter_is_reported(backend: Backend) {
    let fixture = Fixture::new(backend).await;
    let wrong = [
        json!(null),
        json!(1),
        json!("x"),
        json!(""),
        json!([UNKNOWN_GID]),
        json!({}),
    ];
    for call in ["accept_invite", "decline_invite", "leave_project"] {
        let path = format!("/api/account/{call}");
        fixture
            .ann
            .call(&path, &json!({}))
            .await
            .assert_bad_parameter("Missing parameter", "project");
        for value in &wrong {
            let answer = fixture.ann.call(&path, &json!({"project": value})).await;
            answer.assert_bad_parameter("Invalid parameter", "project");
        }
        let answer = fixture
            .ann
            .call(&path, &json!({"project": UNKNOWN_GID}))
            .await;
        answer.assert_unprocessable(if call == "leave_project" {
            "not_a_member"
        } else {
            "not_invited"
        });
    }
    for call in ["init_invite", "decline_invite"] {
        let path = format!("/api/{call}");
        let bad = async |body: Value, reason: &str, name: &str| {
            fixture
                .app
                .http
                .post_anonymous(&path, &body)
                .await
                .assert_bad_parameter(reason, name);
        };
        bad(json!({}), "Missing parameter", "invitee").await;
        bad(json!({"project": 1}), "Missing parameter", "invitee").await;
        bad(
            json!({"invitee": UNKNOWN_GID}),
            "Missing parameter",
            "project",
        )
        .await;
        for value in &wrong {
            bad(
                json!({"invitee": value, "project": 1}),
                "Invalid parameter",
                "invitee",
            )
            .await;
            bad(
                json!({"invitee": UNKNOWN_GID, "project": value}),
                "Invalid parameter",
                "project",
            )
            .await;
        }
        fixture
            .app
            .http
            .post_anonymous(
                &path,
                &json!({"invitee": UNKNOWN_GID, "project": UNKNOWN_GID}),
            )
            .await
            .assert_unprocessable("not_invited");
        assert_method(&fixture.app.http, &path).await;
    }
    for (position, call) in ["accept_invite", "decline_invite", "leave_project"]
        .iter()
        .enumerate()
    {
        // The assertion creates a user with a fixed name, so it can be used only once.
        if position == 0 {
            assert_requires_account(
                &fixture.app,
                &format!("/api/account/{call}"),
                &json!({"project": fixture.project}),
            )
            .await;
        } else {
            fixture
                .app
                .http
                .post_anonymous(
                    &format!("/api/account/{call}"),
                    &json!({"project": fixture.project}),
                )
                .await
                .assert_unauthenticated();
        }
    }
}
