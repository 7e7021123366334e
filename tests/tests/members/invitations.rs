//! Invitations, from the mail to the membership: what each call answers, who may use a link, and when it is dead.

pub(crate) mod misuse;
pub(crate) mod placeholders;
pub(crate) mod secrets;

use std::{collections::HashMap, sync::Mutex};

use doorward_tests::{
    Answer, App, Backend, MailApp, ReceivedMail, User,
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

/// Herbarium is ann's.
struct Fixture {
    app: MailApp,
    ann: User,
    project: String,
    /// The newest invitation of each user, also when it has ended.
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

    /// The id of a user's invitation, or of the last one that there was.
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

    async fn owner(&self, call: &str, body: &Value) -> Answer {
        self.ann
            .call(&format!("/api/p/{}/members/{call}", self.project), body)
            .await
    }

    async fn try_invite(&self, name: &str) -> Answer {
        self.owner("invite", &json!({"username_or_email": name}))
            .await
    }

    /// Invites: the gid.
    async fn invite(&self, name: &str) -> String {
        let gid = self.try_invite(name).await.success().0["user"]
            .as_str()
            .expect("a gid")
            .to_owned();
        self.invitation(&gid);
        gid
    }

    async fn account(&self, user: &User, call: &str) -> Answer {
        user.call(
            &format!("/api/account/{call}"),
            &json!({"project": self.project}),
        )
        .await
    }

    /// A call with the link that was mailed to a user.
    async fn link(&self, call: &str, user: &str) -> Answer {
        let invitee = self.invitation(user);
        self.app
            .http
            .open(
                &format!("/api/{call}"),
                &json!({"invitee": invitee, "project": self.project}),
            )
            .await
    }

    async fn assert_dead(&self, invitee: &str, user: &User) {
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

    fn told(&self, answer: &Answer, user: &str) -> Value {
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

    /// The invitation in the next mail to this address.
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

/// Who has no account.
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
    let scene = Fixture::new(backend).await;
    let ben = scene.app.user("ben").await;
    for name in [
        "ben",
        "ben@example.org",
        "Ben@Example.ORG",
        "BEN@EXAMPLE.ORG",
    ] {
        let answer = scene.try_invite(name).await;
        assert_json_eq(
            &scene.told(&answer, &ben.gid),
            &invited(&short("ben", "Ben")),
        );
        scene.mail("ben@example.org", &ben.gid).await;
    }
    let again = scene
        .owner("resend_invite", &json!({"user": ben.gid}))
        .await;
    assert_json_eq(
        &scene.told(&again, &ben.gid),
        &invited(&short("ben", "Ben")),
    );
    scene.mail("ben@example.org", &ben.gid).await;
    // Nobody is a member by being invited, and sees no more than that.
    scene
        .app
        .http
        .project_init(&scene.project, &ben.token)
        .await
        .assert_forbidden();
    let (result, data) = ben.init().await.success();
    assert_eq!(result["user_projects"], json!({}));
    assert_eq!(
        data["cc.projects_members"].as_array().map(Vec::len),
        Some(1)
    );
    assert!(data["cc.projects"][&scene.project].get("options").is_none());
    assert!(data["cc.users"].get(&scene.ann.gid).is_none());
    scene
        .try_invite("BEN")
        .await
        .assert_unprocessable("user_not_found");
}

async fn first_of_several_accounts_is_invited(backend: Backend) {
    let scene = Fixture::new(backend).await;
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
        let made = scene
            .app
            .installation
            .cli(&words, "correct horse battery staple 9")
            .await;
        gids.push(doorward_tests::installation::gid(&made.assert_success()));
    }
    assert_eq!(scene.invite("we@example.org").await, gids[1]);
    assert_eq!(scene.invite("dan").await, gids[2]);
    scene
        .app
        .installation
        .change_user("deactivate", "bea")
        .await;
    assert_eq!(scene.invite("we@example.org").await, gids[0]);
    scene
        .try_invite("bea")
        .await
        .assert_unprocessable("user_not_found");
}

async fn invitation_mail_uses_the_invitees_language(backend: Backend) {
    let scene = Fixture::new(backend).await;
    let ben = scene.app.user("ben").await;
    ben.call("/api/account/update", &json!({"language": "nl-be"}))
        .await
        .success();
    scene
        .ann
        .call("/api/account/update", &json!({"language": "de"}))
        .await
        .success();
    scene.invite("ben").await;
    let mail = scene.mail("ben@example.org", &ben.gid).await;
    assert!(mail.text.contains("nodigt je uit"), "{}", mail.text);
    // Of somebody without an account only who invites them can know.
    let new = scene.invite("new@example.org").await;
    let mail = scene.mail("new@example.org", &new).await;
    assert!(mail.text.contains("lädt Sie"), "{}", mail.text);
    scene
        .ann
        .call("/api/account/update", &json!({"language": "fr"}))
        .await
        .success();
    let other = scene.invite("other@example.org").await;
    let mail = scene.mail("other@example.org", &other).await;
    assert!(mail.text.contains("invites you"), "{}", mail.text);
    // Links are of the app's own address, whatever the request says.
    let path = format!("/api/p/{}/members/resend_invite", scene.project);
    let call = scene
        .app
        .http
        .post(&path)
        .bearer(&scene.ann.token)
        .header("x-forwarded-host", "evil.example");
    call.header("host", "evil.example")
        .json(&json!({"user": other}))
        .send()
        .await
        .success();
    let mail = scene.mail("other@example.org", &other).await;
    assert!(!mail.raw.contains("evil.example"));
}

async fn invitations_require_mail(backend: Backend) {
    let app = App::start(backend).await;
    let (ann, ben) = (app.user("ann").await, app.user("ben").await);
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
    let scene = Fixture::new(backend).await;
    let ben = scene.app.user("ben").await;
    let user = json!({"user": ben.gid});
    scene.invite("ben").await;
    scene
        .owner(
            "update",
            &json!({"user": ben.gid, "options": {"rate_limit_per_second": 700}}),
        )
        .await
        .success();
    for call in ["invite", "resend_invite"] {
        scene.account(&ben, "decline_invite").await.success();
        scene
            .account(&ben, "accept_invite")
            .await
            .assert_invite_invalid();
        scene
            .link("init_invite", &ben.gid)
            .await
            .assert_invite_invalid();
        let answer = match call {
            "invite" => scene.try_invite("ben").await,
            _ => scene.owner(call, &user).await,
        };
        let (_, data) = answer.success();
        assert_eq!(data["cc.projects_members"][0]["status"], json!("invited"));
        scene.link("init_invite", &ben.gid).await.success();
    }
    let (_, data) = scene.account(&ben, "accept_invite").await.success();
    assert_eq!(
        data["cc.projects_members"][0]["options"]["rate_limit_per_second"],
        json!(700)
    );
    scene
        .owner("resend_invite", &user)
        .await
        .assert_unprocessable("already_member");
    scene
        .try_invite("ben")
        .await
        .assert_unprocessable("already_member");
    scene
        .try_invite("ann")
        .await
        .assert_unprocessable("already_member");
    scene
        .owner("resend_invite", &json!({"user": UNKNOWN_GID}))
        .await
        .assert_unprocessable("not_a_member");
    scene.owner("deactivate", &user).await.success();
    scene
        .try_invite("ben")
        .await
        .assert_unprocessable("inactive");
}

async fn account_accepts_and_becomes_a_member(backend: Backend) {
    let scene = Fixture::new(backend).await;
    let ben = scene.app.user("ben").await;
    scene.invite("ben").await;
    let answer = scene.account(&ben, "accept_invite").await;
    let told = scene.told(&answer, &ben.gid);
    let (_, data) = scene
        .app
        .http
        .project_init(&scene.project, &scene.ann.token)
        .await
        .success();
    let full = with_names(
        &data["cc.projects"],
        &[(&scene.project, "<project>"), (&scene.ann.gid, "<ann>")],
    );
    assert!(
        full["<project>"]["options"]["channels"].is_object()
            && full["<project>"]["build"] == json!(1)
    );
    let expected = json!({
        "success": true, "result": {"project": "<project>"},
        "data": {"cc.projects": full, "cc.projects_members": [own_membership("active", "ben@example.org")]}
    });
    assert_json_eq(&told, &expected);
    let token = answer.token();
    assert_ne!(token, ben.token);
    let (result, _) = scene
        .app
        .http
        .project_init(&scene.project, &token)
        .await
        .success();
    assert_eq!(result["user_projects"], json!({&scene.project: ["member"]}));
    for call in ["accept_invite", "decline_invite"] {
        scene
            .account(&ben, call)
            .await
            .assert_unprocessable("already_member");
    }
    for call in ["init_invite", "decline_invite"] {
        scene
            .link(call, &ben.gid)
            .await
            .assert_unprocessable("already_member");
    }
}

async fn account_declines(backend: Backend) {
    let scene = Fixture::new(backend).await;
    let ben = scene.app.user("ben").await;
    scene.invite("ben").await;
    let answer = scene.account(&ben, "decline_invite").await;
    let expected = json!({
        "success": true, "result": {"project": "<project>"},
        "data": {"cc.projects_members": [own_membership("declined", "ben@example.org")]}
    });
    assert_json_eq(&scene.told(&answer, &ben.gid), &expected);
    assert!(!ben.init().await.text().contains(&scene.project));
    scene
        .account(&ben, "decline_invite")
        .await
        .assert_unprocessable("not_invited");
    scene
        .account(&ben, "accept_invite")
        .await
        .assert_invite_invalid();
    let (_, data) = scene
        .ann
        .call(
            "/api/members/get",
            &json!({"project": scene.project, "member": ben.gid}),
        )
        .await
        .success();
    assert_eq!(data["cc.projects_members"][0]["status"], json!("declined"));
}

async fn link_declines_without_an_account(backend: Backend) {
    let scene = Fixture::new(backend).await;
    let new = scene.invite("new@example.org").await;
    scene.mail("new@example.org", &new).await;
    let answer = scene.link("decline_invite", &new).await;
    let expected = json!({
        "success": true, "result": {"project": "<project>"}, "data": {"cc.projects_members": [membership("declined")]}
    });
    assert_json_eq(&scene.told(&answer, &new), &expected);
    scene
        .link("init_invite", &new)
        .await
        .assert_invite_invalid();
    scene
        .link("decline_invite", &new)
        .await
        .assert_unprocessable("not_invited");
    // Who has declined and signs up later has declined.
    let user = scene.app.sign_up("new", "new@example.org").await;
    assert_eq!(user.gid, new);
    assert!(!user.init().await.text().contains(&scene.project));
    scene
        .account(&user, "accept_invite")
        .await
        .assert_invite_invalid();
    assert_eq!(scene.invite("new").await, new);
    scene.account(&user, "accept_invite").await.success();
}

async fn invalid_invitees_are_rejected(backend: Backend) {
    let scene = Fixture::new(backend).await;
    let robot = scene.ann.create_api_user(&scene.project, "Robot").await;
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
        &scene.ann.gid,
        &long,
    ] {
        let answer = scene.try_invite(name).await;
        println!("{name:?}: {answer:?}");
        answer.assert_unprocessable("user_not_found");
    }
    scene
        .owner("resend_invite", &json!({"user": robot.gid}))
        .await
        .assert_unprocessable("api_user");
    let (_, data) = scene
        .app
        .http
        .project_init(&scene.project, &scene.ann.token)
        .await
        .success();
    assert_eq!(
        data["cc.projects_members"].as_array().map(Vec::len),
        Some(2)
    );
    // An administrator makes no account of a place, but may forget it.
    let place = scene.invite("new@example.org").await;
    for change in ["activate", "deactivate"] {
        scene
            .app
            .installation
            .cli(&["user", change, &place], "")
            .await
            .assert_failure(1);
    }
    scene.link("init_invite", &place).await.success();
}

async fn first_bad_parameter_is_reported(backend: Backend) {
    let scene = Fixture::new(backend).await;
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
        scene
            .ann
            .call(&path, &json!({}))
            .await
            .assert_bad_parameter("Missing parameter", "project");
        for value in &wrong {
            let answer = scene.ann.call(&path, &json!({"project": value})).await;
            answer.assert_bad_parameter("Invalid parameter", "project");
        }
        let answer = scene
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
            scene
                .app
                .http
                .open(&path, &body)
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
        scene
            .app
            .http
            .open(
                &path,
                &json!({"invitee": UNKNOWN_GID, "project": UNKNOWN_GID}),
            )
            .await
            .assert_unprocessable("not_invited");
        assert_method(&scene.app.http, &path).await;
    }
    for (position, call) in ["accept_invite", "decline_invite", "leave_project"]
        .iter()
        .enumerate()
    {
        // Makes a user and a project of fixed names.
        if position == 0 {
            assert_requires_account(
                &scene.app,
                &format!("/api/account/{call}"),
                &json!({"project": scene.project}),
            )
            .await;
        } else {
            scene
                .app
                .http
                .open(
                    &format!("/api/account/{call}"),
                    &json!({"project": scene.project}),
                )
                .await
                .assert_unauthenticated();
        }
    }
}
