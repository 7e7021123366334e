//! Tests that `/api/users/get` and `/api/members/get` return what is visible to the caller.

use doorward_tests::{
    Backend, MailApp, Response, User,
    assertions::assert_method,
    on_both_databases,
    snapshots::{assert_json_eq, with_names},
};
use serde_json::{Value, json};

use crate::api_keys::calls::UNKNOWN_GID;

on_both_databases![
    own_user_has_details_and_others_are_summaries,
    users_without_shared_projects_are_hidden,
    memberships_are_visible_to_holders_and_members,
    inactive_membership_is_hidden_from_its_holder,
    first_bad_parameter_is_reported,
];

/// A project of ann with the member ben. The user fay is invited, gus has declined, hal is
/// deactivated, and dan has no membership.
struct Fixture {
    app: MailApp,
    project: String,
    people: Vec<User>,
}

impl Fixture {
    async fn new(backend: Backend) -> Self {
        let app = MailApp::start(backend).await;
        let mut people = Vec::new();
        for name in ["ann", "ben", "fay", "gus", "hal", "dan"] {
            people.push(app.user(name).await);
        }
        let project = app.installation.create_project("ann", "Herbarium").await;
        app.installation.add_member(&project, "ben").await;
        app.installation.add_member(&project, "hal").await;
        let fixture = Self {
            app,
            project,
            people,
        };
        for name in ["fay", "gus"] {
            fixture
                .inside("ann", "invite", &json!({"username_or_email": name}))
                .await
                .success();
        }
        let own = json!({"project": fixture.project});
        fixture
            .person("gus")
            .call("/api/account/decline_invite", &own)
            .await
            .success();
        fixture
            .inside(
                "ann",
                "deactivate",
                &json!({"user": fixture.person("hal").gid}),
            )
            .await
            .success();
        fixture
    }

    fn person(&self, name: &str) -> &User {
        self.people
            .iter()
            .find(|user| user.username == name)
            .expect("a user of this name")
    }

    async fn inside(&self, caller: &str, call: &str, body: &Value) -> Response {
        self.person(caller)
            .call(&format!("/api/p/{}/members/{call}", self.project), body)
            .await
    }

    async fn user(&self, caller: &str, user: &str) -> Response {
        self.person(caller)
            .call("/api/users/get", &json!({"user": self.person(user).gid}))
            .await
    }

    async fn member(&self, caller: &str, member: &str) -> Response {
        let body = json!({"project": self.project, "member": self.person(member).gid});
        self.person(caller).call("/api/members/get", &body).await
    }

    fn named(&self, answer: &Response) -> Value {
        answer.success();
        let labels: Vec<_> = self
            .people
            .iter()
            .map(|user| (user.gid.clone(), format!("<{}>", user.username)))
            .collect();
        let mut names: Vec<_> = labels
            .iter()
            .map(|(gid, name)| (gid.as_str(), name.as_str()))
            .collect();
        names.push((&self.project, "<project>"));
        with_names(&answer.json(), &names)
    }
}

fn summary(name: &str) -> Value {
    let mut display = name.to_owned();
    display[..1].make_ascii_uppercase();
    json!({"gid": format!("<{name}>"), "username": name, "name": display, "avatar": null, "status": "active"})
}

fn complete(name: &str) -> Value {
    let mut user = summary(name);
    user["email"] = json!(format!("{name}@example.org"));
    user["options"] = json!({"language": "en", "timezone": "Europe/Amsterdam"});
    user
}

fn one_user(name: &str, user: &Value) -> Value {
    let gid = format!("<{name}>");
    json!({"success": true, "result": {"user": gid}, "data": {"cc.users": {&gid: user}}})
}

fn one_member(name: &str, user: &Value, status: &str, options: Option<Value>) -> Value {
    let mut answer = one_user(name, user);
    let role = if name == "ann" { "owner" } else { "member" };
    let mut membership = json!({"project_gid": "<project>", "user_gid": format!("<{name}>"), "status": status, "roles": [role]});
    if let Some(options) = options {
        membership["options"] = options;
    }
    answer["data"]["cc.projects_members"] = json!([membership]);
    answer
}

fn own_options(name: &str) -> Value {
    json!({
        "notifications": {"email": format!("{name}@example.org"), "events": ["all"], "frequency": "immediate"},
        "rate_limit_per_second": null
    })
}

async fn own_user_has_details_and_others_are_summaries(backend: Backend) {
    let fixture = Fixture::new(backend).await;
    for name in ["ann", "ben", "fay", "gus", "hal", "dan"] {
        assert_json_eq(
            &fixture.named(&fixture.user(name, name).await),
            &one_user(name, &complete(name)),
        );
    }
    // Members see the summaries of other members and of invited users.
    for (caller, user) in [
        ("ann", "ben"),
        ("ben", "ann"),
        ("ann", "fay"),
        ("ben", "fay"),
    ] {
        assert_json_eq(
            &fixture.named(&fixture.user(caller, user).await),
            &one_user(user, &summary(user)),
        );
    }
}

async fn users_without_shared_projects_are_hidden(backend: Backend) {
    let fixture = Fixture::new(backend).await;
    for (caller, user) in [
        ("ann", "dan"),
        ("ann", "gus"),
        ("ann", "hal"),
        ("ben", "gus"),
        ("ben", "hal"),
        ("fay", "ann"),
        ("fay", "ben"),
        ("gus", "ann"),
        ("hal", "ann"),
        ("hal", "ben"),
        ("dan", "ann"),
        ("dan", "fay"),
    ] {
        let answer = fixture.user(caller, user).await;
        println!("{caller} {user}: {answer:?}");
        answer.assert_unprocessable("user_not_found");
    }
    fixture
        .person("ann")
        .call("/api/users/get", &json!({"user": UNKNOWN_GID}))
        .await
        .assert_unprocessable("user_not_found");
}

async fn memberships_are_visible_to_holders_and_members(backend: Backend) {
    let fixture = Fixture::new(backend).await;
    let no_limit = || Some(json!({"rate_limit_per_second": null}));
    for (name, status) in [("ann", "active"), ("ben", "active"), ("fay", "invited")] {
        let expected = one_member(name, &complete(name), status, Some(own_options(name)));
        assert_json_eq(&fixture.named(&fixture.member(name, name).await), &expected);
    }
    for (name, status) in [
        ("ben", "active"),
        ("fay", "invited"),
        ("gus", "declined"),
        ("hal", "inactive"),
    ] {
        let expected = one_member(name, &summary(name), status, no_limit());
        assert_json_eq(
            &fixture.named(&fixture.member("ann", name).await),
            &expected,
        );
    }
    for (name, status) in [
        ("ann", "active"),
        ("fay", "invited"),
        ("gus", "declined"),
        ("hal", "inactive"),
    ] {
        assert_json_eq(
            &fixture.named(&fixture.member("ben", name).await),
            &one_member(name, &summary(name), status, None),
        );
    }
    for (caller, member) in [
        ("ann", "dan"),
        ("fay", "ann"),
        ("fay", "ben"),
        ("dan", "ann"),
        ("dan", "dan"),
    ] {
        fixture
            .member(caller, member)
            .await
            .assert_unprocessable("member_not_found");
    }
    let nowhere = json!({"project": UNKNOWN_GID, "member": fixture.person("ann").gid});
    fixture
        .person("ann")
        .call("/api/members/get", &nowhere)
        .await
        .assert_unprocessable("member_not_found");
}

async fn inactive_membership_is_hidden_from_its_holder(backend: Backend) {
    let fixture = Fixture::new(backend).await;
    for name in ["gus", "hal"] {
        for other in [name, "ann", "ben"] {
            fixture
                .member(name, other)
                .await
                .assert_unprocessable("member_not_found");
        }
        let project = fixture
            .person(name)
            .call("/api/projects/get", &json!({"project": fixture.project}))
            .await;
        project.assert_unprocessable("project_not_found");
        assert!(
            !fixture
                .person(name)
                .init()
                .await
                .text()
                .contains(&fixture.project)
        );
    }
    // After activation or another invitation, the membership is visible again.
    fixture
        .inside(
            "ann",
            "activate",
            &json!({"user": fixture.person("hal").gid}),
        )
        .await
        .success();
    fixture
        .inside("ann", "invite", &json!({"username_or_email": "gus"}))
        .await
        .success();
    fixture.member("hal", "ben").await.success();
    fixture.member("gus", "gus").await.success();
    fixture
        .member("gus", "ben")
        .await
        .assert_unprocessable("member_not_found");
}

async fn first_bad_parameter_is_reported(backend: Backend) {
    let fixture = Fixture::new(backend).await;
    let bad = async |path: &str, body: Value, reason: &str, name: &str| {
        fixture
            .person("ann")
            .call(path, &body)
            .await
            .assert_bad_parameter(reason, name);
        fixture
            .app
            .http
            .post_anonymous(path, &body)
            .await
            .assert_unauthenticated();
    };
    bad("/api/users/get", json!({}), "Missing parameter", "user").await;
    bad(
        "/api/members/get",
        json!({}),
        "Missing parameter",
        "project",
    )
    .await;
    bad(
        "/api/members/get",
        json!({"member": 1}),
        "Missing parameter",
        "project",
    )
    .await;
    bad(
        "/api/members/get",
        json!({"project": UNKNOWN_GID}),
        "Missing parameter",
        "member",
    )
    .await;
    for wrong in [
        json!(null),
        json!(1),
        json!("x"),
        json!(""),
        json!([UNKNOWN_GID]),
        json!({}),
    ] {
        bad(
            "/api/users/get",
            json!({"user": wrong}),
            "Invalid parameter",
            "user",
        )
        .await;
        bad(
            "/api/members/get",
            json!({"project": wrong}),
            "Invalid parameter",
            "project",
        )
        .await;
        bad(
            "/api/members/get",
            json!({"project": UNKNOWN_GID, "member": wrong}),
            "Invalid parameter",
            "member",
        )
        .await;
    }
    for path in ["/api/users/get", "/api/members/get"] {
        assert_method(&fixture.app.http, path).await;
    }
}
