//! Tests the responses, errors and permissions of the calls `/api/p/{project}/members/...`.
//! Invitations are in `invitations.rs`, transitions of the status in `transitions.rs`.

use doorward_tests::{
    ApiUser, Backend, MailApp, PASSWORD, Response, User, on_both_databases,
    snapshots::{assert_json_eq, with_names},
};
use serde_json::{Value, json};

use crate::api_keys::calls::UNKNOWN_GID;

on_both_databases![
    member_entry_depends_on_the_caller,
    members_are_returned_once_in_request_order,
    first_bad_parameter_is_reported,
    calls_require_a_token,
    deactivated_member_has_no_access_until_activated,
    removed_member_loses_access_to_the_project_only,
    members_can_remove_only_themselves,
    only_the_owner_sets_limits,
    only_the_member_sets_notifications,
    member_update_is_atomic,
];

const CALLS: [&str; 7] = [
    "get",
    "invite",
    "resend_invite",
    "remove",
    "deactivate",
    "activate",
    "update",
];

/// A project of ann with the members ben and cas and an API user. The user dan is not a member.
struct Fixture {
    app: MailApp,
    ann: User,
    ben: User,
    cas: User,
    dan: User,
    robot: ApiUser,
    project: String,
}

impl Fixture {
    async fn new(backend: Backend) -> Self {
        let app = MailApp::start(backend).await;
        let ann = app.user("ann").await;
        let ben = app.user("ben").await;
        let cas = app.user("cas").await;
        let dan = app.user("dan").await;
        let project = app.installation.create_project("ann", "Herbarium").await;
        app.installation.add_member(&project, "ben").await;
        app.installation.add_member(&project, "cas").await;
        let robot = ann.create_api_user(&project, "Robot").await;
        Self {
            app,
            ann,
            ben,
            cas,
            dan,
            robot,
            project,
        }
    }

    async fn call(&self, caller: &User, call: &str, body: &Value) -> Response {
        caller
            .call(&format!("/api/p/{}/members/{call}", self.project), body)
            .await
    }

    /// Returns a complete successful response with names in place of ids.
    fn named(&self, answer: &Response) -> Value {
        answer.success();
        let names = [
            (self.ann.gid.as_str(), "<ann>"),
            (&self.ben.gid, "<ben>"),
            (&self.cas.gid, "<cas>"),
            (&self.robot.gid, "<robot>"),
            (&self.project, "<project>"),
        ];
        with_names(&answer.json(), &names)
    }

    /// Reads a membership as a caller sees it.
    async fn membership(&self, caller: &User, user: &str) -> Value {
        let (_, data) = self
            .call(caller, "get", &json!({"member": user}))
            .await
            .success();
        data["cc.projects_members"][0].clone()
    }
}

fn complete(name: &str) -> Value {
    let mut display = name.to_owned();
    display[..1].make_ascii_uppercase();
    json!({
        "gid": format!("<{name}>"), "username": name, "email": format!("{name}@example.org"), "name": display, "avatar": null,
        "status": "active", "options": {"language": "en", "timezone": "Europe/Amsterdam"}
    })
}

fn summary(name: &str) -> Value {
    let mut summary = complete(name);
    let fields = summary.as_object_mut().expect("an object");
    fields.remove("email");
    fields.remove("options");
    summary
}

fn robot() -> Value {
    json!({"gid": "<robot>", "username": null, "name": "Robot", "avatar": null, "status": "active"})
}

fn membership(name: &str, status: &str, role: &str, options: Option<Value>) -> Value {
    let mut membership = json!({"project_gid": "<project>", "user_gid": format!("<{name}>"), "status": status, "roles": [role]});
    if let Some(options) = options {
        membership["options"] = options;
    }
    membership
}

fn own_options(name: &str) -> Value {
    json!({
        "notifications": {"email": format!("{name}@example.org"), "events": ["all"], "frequency": "immediate"},
        "rate_limit_per_second": null
    })
}

fn no_limit() -> Value {
    json!({"rate_limit_per_second": null})
}

fn success(result: &Value, users: &[(&str, Value)], memberships: &[Value]) -> Value {
    let users: serde_json::Map<_, _> = users
        .iter()
        .map(|(name, user)| (format!("<{name}>"), user.clone()))
        .collect();
    json!({"success": true, "result": result, "data": {"cc.users": users, "cc.projects_members": memberships}})
}

async fn member_entry_depends_on_the_caller(backend: Backend) {
    let fixture = Fixture::new(backend).await;
    let get = async |caller: &User, member: &str| {
        fixture.named(
            &fixture
                .call(
                    caller,
                    "get",
                    &json!({"member": member, "members": [UNKNOWN_GID]}),
                )
                .await,
        )
    };
    let one = |name: &str, user: Value, membership: Value| {
        success(
            &json!({"user": format!("<{name}>")}),
            &[(name, user)],
            &[membership],
        )
    };
    // The owner sees the rate limits of other members, and all own options.
    let expected = one(
        "ben",
        summary("ben"),
        membership("ben", "active", "member", Some(no_limit())),
    );
    assert_json_eq(&get(&fixture.ann, &fixture.ben.gid).await, &expected);
    let expected = one(
        "robot",
        robot(),
        membership("robot", "active", "api", Some(no_limit())),
    );
    assert_json_eq(&get(&fixture.ann, &fixture.robot.gid).await, &expected);
    let expected = one(
        "ann",
        complete("ann"),
        membership("ann", "active", "owner", Some(own_options("ann"))),
    );
    assert_json_eq(&get(&fixture.ann, &fixture.ann.gid).await, &expected);
    // A member sees no options of other members.
    let expected = one(
        "ann",
        summary("ann"),
        membership("ann", "active", "owner", None),
    );
    assert_json_eq(&get(&fixture.ben, &fixture.ann.gid).await, &expected);
    let expected = one("robot", robot(), membership("robot", "active", "api", None));
    assert_json_eq(&get(&fixture.ben, &fixture.robot.gid).await, &expected);
    let expected = one(
        "ben",
        complete("ben"),
        membership("ben", "active", "member", Some(own_options("ben"))),
    );
    assert_json_eq(&get(&fixture.ben, &fixture.ben.gid).await, &expected);
    // An API user sees no options of other members.
    let token = fixture.robot.auth().await.token();
    let program = User {
        gid: String::new(),
        username: String::new(),
        token,
        http: fixture.app.http.clone(),
    };
    let expected = one(
        "ben",
        summary("ben"),
        membership("ben", "active", "member", None),
    );
    assert_json_eq(&get(&program, &fixture.ben.gid).await, &expected);
    let mut own = robot();
    own["email"] = json!(null);
    own["options"] = json!({"language": "en", "timezone": "Europe/Amsterdam"});
    let expected = one(
        "robot",
        own,
        membership("robot", "active", "api", Some(no_limit())),
    );
    assert_json_eq(&get(&program, &fixture.robot.gid).await, &expected);

    for non_member in [fixture.dan.gid.as_str(), UNKNOWN_GID] {
        fixture
            .call(&fixture.ben, "get", &json!({"member": non_member}))
            .await
            .assert_unprocessable("member_not_found");
    }
}

async fn members_are_returned_once_in_request_order(backend: Backend) {
    let fixture = Fixture::new(backend).await;
    let ann = &fixture.ann.gid;
    let ben = &fixture.ben.gid;
    let cas = &fixture.cas.gid;
    let answer = fixture
        .call(
            &fixture.ben,
            "get",
            &json!({"members": [cas, ann, ben, cas, ann]}),
        )
        .await;
    let expected = success(
        &json!({"users": ["<cas>", "<ann>", "<ben>"]}),
        &[
            ("cas", summary("cas")),
            ("ann", summary("ann")),
            ("ben", complete("ben")),
        ],
        &[
            membership("cas", "active", "member", None),
            membership("ann", "active", "owner", None),
            membership("ben", "active", "member", Some(own_options("ben"))),
        ],
    );
    assert_json_eq(&fixture.named(&answer), &expected);
    assert_eq!(answer.text().matches("\"username\":\"cas\"").count(), 1);
    let none = fixture.named(
        &fixture
            .call(&fixture.ben, "get", &json!({"members": []}))
            .await,
    );
    assert_json_eq(&none, &success(&json!({"users": []}), &[], &[]));
    // The call fails if one of the users is not a member.
    for non_member in [fixture.dan.gid.as_str(), UNKNOWN_GID] {
        let answer = fixture
            .call(&fixture.ben, "get", &json!({"members": [ann, non_member]}))
            .await;
        answer.assert_unprocessable("member_not_found");
    }
    let many = |count: usize| json!({"members": vec![ann; count]});
    fixture
        .call(&fixture.ben, "get", &many(1000))
        .await
        .success();
    fixture
        .call(&fixture.ben, "get", &many(1001))
        .await
        .assert_bad_parameter("Invalid parameter", "members");
}

async fn first_bad_parameter_is_reported(backend: Backend) {
    let fixture = Fixture::new(backend).await;
    let bad = async |call: &str, body: Value, reason: &str, name: &str| {
        fixture
            .call(&fixture.ann, call, &body)
            .await
            .assert_bad_parameter(reason, name);
    };
    let wrong = [
        json!(null),
        json!(1),
        json!("x"),
        json!(""),
        json!([UNKNOWN_GID]),
        json!({}),
        json!(true),
    ];
    bad("get", json!({}), "Missing parameter", "member").await;
    bad(
        "get",
        json!({"member": 1, "members": 1}),
        "Invalid parameter",
        "member",
    )
    .await;
    for value in &wrong {
        bad(
            "get",
            json!({"member": value, "members": [UNKNOWN_GID]}),
            "Invalid parameter",
            "member",
        )
        .await;
    }
    for value in [
        json!(null),
        json!(UNKNOWN_GID),
        json!({}),
        json!([1]),
        json!(["x"]),
        json!([UNKNOWN_GID, null]),
    ] {
        bad(
            "get",
            json!({"members": value}),
            "Invalid parameter",
            "members",
        )
        .await;
    }
    for call in [
        "resend_invite",
        "remove",
        "deactivate",
        "activate",
        "update",
    ] {
        bad(call, json!({"options": 1}), "Missing parameter", "user").await;
        for value in &wrong {
            bad(call, json!({"user": value}), "Invalid parameter", "user").await;
        }
    }
    bad(
        "invite",
        json!({}),
        "Missing parameter",
        "username_or_email",
    )
    .await;
    for value in [json!(null), json!(1), json!(["ben"]), json!({})] {
        bad(
            "invite",
            json!({"username_or_email": value}),
            "Invalid parameter",
            "username_or_email",
        )
        .await;
    }
    bad(
        "update",
        json!({"user": fixture.ben.gid}),
        "Missing parameter",
        "options",
    )
    .await;
    for value in [json!(null), json!(1), json!("x"), json!([]), json!([{}])] {
        bad(
            "update",
            json!({"user": fixture.ben.gid, "options": value}),
            "Invalid parameter",
            "options",
        )
        .await;
    }
}

async fn calls_require_a_token(backend: Backend) {
    let fixture = Fixture::new(backend).await;
    let body = json!({"user": fixture.ben.gid, "member": fixture.ben.gid, "username_or_email": "dan", "options": {}});
    for call in CALLS {
        let path = format!("/api/p/{}/members/{call}", fixture.project);
        for body in [&body, &json!({})] {
            fixture
                .app
                .http
                .post_anonymous(&path, body)
                .await
                .assert_unauthenticated();
            fixture
                .app
                .http
                .post(&path)
                .bearer("x")
                .json(body)
                .send()
                .await
                .assert_unauthenticated();
        }
        let answer = fixture
            .app
            .http
            .get(&path)
            .bearer(&fixture.ann.token)
            .send()
            .await;
        answer.assert_error(405, "Method not allowed", &json!({}));
        // The response does not reveal whether the project exists.
        fixture.dan.call(&path, &body).await.assert_forbidden();
        fixture
            .dan
            .call(&path.replace(&fixture.project, UNKNOWN_GID), &body)
            .await
            .assert_forbidden();
        let bad = fixture
            .dan
            .call(&path.replace(&fixture.project, "x"), &body)
            .await;
        bad.assert_bad_parameter("Invalid parameter", "project");
    }
}

async fn deactivated_member_has_no_access_until_activated(backend: Backend) {
    let fixture = Fixture::new(backend).await;
    let user = json!({"user": fixture.ben.gid});
    // Repeating a call is not an error.
    for (call, status) in [
        ("deactivate", "inactive"),
        ("deactivate", "inactive"),
        ("activate", "active"),
        ("activate", "active"),
    ] {
        let answer = fixture.named(&fixture.call(&fixture.ann, call, &user).await);
        let membership = membership("ben", status, "member", Some(no_limit()));
        assert_json_eq(
            &answer,
            &success(
                &json!({"user": "<ben>"}),
                &[("ben", summary("ben"))],
                &[membership],
            ),
        );
        let has_access = status == "active";
        let inside = fixture
            .app
            .http
            .project_init(&fixture.project, &fixture.ben.token)
            .await;
        assert_eq!(inside.status, if has_access { 200 } else { 403 });
        let login = fixture
            .app
            .http
            .project_login(&fixture.project, "ben", PASSWORD)
            .await;
        assert_eq!(login.status, if has_access { 200 } else { 403 });
        let (result, data) = fixture.ben.init().await.success();
        assert_eq!(
            result["user_projects"].get(&fixture.project).is_some(),
            has_access
        );
        assert_eq!(data.to_string().contains(&fixture.project), has_access);
    }
    for (caller, user) in [
        (&fixture.ben, &fixture.cas.gid),
        (&fixture.ben, &fixture.ben.gid),
        (&fixture.dan, &fixture.ben.gid),
    ] {
        for call in ["deactivate", "activate"] {
            fixture
                .call(caller, call, &json!({"user": user}))
                .await
                .assert_forbidden();
        }
    }
    for (user, reason) in [
        (&fixture.ann.gid, "owner"),
        (&fixture.robot.gid, "api_user"),
        (&fixture.dan.gid, "not_a_member"),
        (&UNKNOWN_GID.to_owned(), "not_a_member"),
    ] {
        for call in ["deactivate", "activate"] {
            fixture
                .call(&fixture.ann, call, &json!({"user": user}))
                .await
                .assert_unprocessable(reason);
        }
    }
}

async fn removed_member_loses_access_to_the_project_only(backend: Backend) {
    let fixture = Fixture::new(backend).await;
    let (own, _) = fixture
        .ben
        .call("/api/projects/create", &json!({"name": "Garden"}))
        .await
        .success();
    let garden = own["project"].as_str().expect("a gid");
    let user = json!({"user": fixture.ben.gid});
    let answer = fixture.call(&fixture.ann, "remove", &user).await;
    assert_json_eq(
        &answer.json(),
        &json!({"success": true, "result": {}, "data": {}}),
    );
    fixture
        .call(&fixture.ann, "remove", &user)
        .await
        .assert_unprocessable("not_a_member");

    // The token of the removed member stays valid for everything else.
    assert_eq!(
        fixture
            .app
            .http
            .project_init(garden, &fixture.ben.token)
            .await
            .status,
        200
    );
    let (result, data) = fixture.ben.init().await.success();
    assert_eq!(result["user_projects"], json!({garden: ["owner"]}));
    assert!(!data.to_string().contains(&fixture.project));
    fixture
        .app
        .http
        .project_init(&fixture.project, &fixture.ben.token)
        .await
        .assert_forbidden();
    for call in CALLS {
        let body = json!({"user": fixture.cas.gid, "member": fixture.cas.gid, "username_or_email": "dan", "options": {}});
        fixture
            .call(&fixture.ben, call, &body)
            .await
            .assert_forbidden();
    }
    let seen = fixture
        .app
        .http
        .project_init(&fixture.project, &fixture.ann.token)
        .await;
    assert!(!seen.text().contains(&fixture.ben.gid));
    for (user, reason) in [
        (&fixture.ann.gid, "owner"),
        (&fixture.robot.gid, "api_user"),
        (&fixture.dan.gid, "not_a_member"),
    ] {
        fixture
            .call(&fixture.ann, "remove", &json!({"user": user}))
            .await
            .assert_unprocessable(reason);
    }
    // A member who is removed and added again has the default options.
    fixture
        .call(
            &fixture.ann,
            "update",
            &json!({"user": fixture.cas.gid, "options": {"rate_limit_per_second": 100}}),
        )
        .await
        .success();
    fixture
        .call(&fixture.ann, "remove", &json!({"user": fixture.cas.gid}))
        .await
        .success();
    fixture
        .app
        .installation
        .add_member(&fixture.project, "cas")
        .await;
    let again = fixture.membership(&fixture.cas, &fixture.cas.gid).await;
    assert_eq!(again["options"], own_options("cas"));
}

async fn members_can_remove_only_themselves(backend: Backend) {
    let fixture = Fixture::new(backend).await;
    let others = [
        &fixture.ann.gid,
        &fixture.cas.gid,
        &fixture.robot.gid,
        &fixture.dan.gid,
        &UNKNOWN_GID.to_owned(),
    ];
    for other in others {
        fixture
            .call(&fixture.ben, "remove", &json!({"user": other}))
            .await
            .assert_forbidden();
    }
    fixture
        .call(&fixture.dan, "remove", &json!({"user": fixture.dan.gid}))
        .await
        .assert_forbidden();
    fixture
        .call(&fixture.ann, "remove", &json!({"user": fixture.ann.gid}))
        .await
        .assert_unprocessable("owner");
    let answer = fixture
        .call(&fixture.ben, "remove", &json!({"user": fixture.ben.gid}))
        .await;
    assert_json_eq(
        &answer.json(),
        &json!({"success": true, "result": {}, "data": {}}),
    );
    fixture
        .call(&fixture.ben, "remove", &json!({"user": fixture.ben.gid}))
        .await
        .assert_forbidden();

    // A member can also leave with `/api/account/leave_project`.
    let leave = json!({"project": fixture.project});
    let answer = fixture.cas.call("/api/account/leave_project", &leave).await;
    assert_json_eq(
        &answer.json(),
        &json!({"success": true, "result": {}, "data": {}}),
    );
    assert_eq!(
        fixture.app.http.init(&answer.token()).await.success().0["user_projects"],
        json!({})
    );
    fixture
        .cas
        .call("/api/account/leave_project", &leave)
        .await
        .assert_unprocessable("not_a_member");
    fixture
        .cas
        .call(
            "/api/account/leave_project",
            &json!({"project": UNKNOWN_GID}),
        )
        .await
        .assert_unprocessable("not_a_member");
    fixture
        .ann
        .call("/api/account/leave_project", &leave)
        .await
        .assert_unprocessable("owner");
    fixture
        .cas
        .call("/api/account/leave_project", &json!({}))
        .await
        .assert_bad_parameter("Missing parameter", "project");
    fixture
        .app
        .http
        .post_anonymous("/api/account/leave_project", &leave)
        .await
        .assert_unauthenticated();
}

async fn only_the_owner_sets_limits(backend: Backend) {
    let fixture = Fixture::new(backend).await;
    let set = async |caller: &User, user: &str, limit: Value| {
        fixture
            .call(
                caller,
                "update",
                &json!({"user": user, "options": {"rate_limit_per_second": limit}}),
            )
            .await
    };
    for limit in [
        json!(1000),
        json!(1_000_000),
        json!(u32::MAX),
        json!(null),
        json!(2000),
    ] {
        let answer = fixture.named(&set(&fixture.ann, &fixture.ben.gid, limit.clone()).await);
        let membership = membership(
            "ben",
            "active",
            "member",
            Some(json!({"rate_limit_per_second": limit})),
        );
        assert_json_eq(
            &answer["data"],
            &json!({"cc.projects_members": [membership]}),
        );
        assert_json_eq(&answer["result"], &json!({"user": "<ben>"}));
        assert_eq!(
            fixture.membership(&fixture.ben, &fixture.ben.gid).await["options"]["rate_limit_per_second"],
            limit
        );
    }
    for limit in [
        json!(0),
        json!(-1),
        json!(1.5),
        json!(1.0),
        json!(1e30),
        json!(u64::MAX),
        json!(4_294_967_296_u64),
        json!("5"),
        json!(true),
        json!([]),
        json!({}),
    ] {
        let answer = set(&fixture.ann, &fixture.ben.gid, limit).await;
        answer.assert_bad_parameter("Invalid parameter", "options");
    }
    assert_eq!(
        fixture.membership(&fixture.ben, &fixture.ben.gid).await["options"]["rate_limit_per_second"],
        json!(2000)
    );
    // Absent options are not changed, and unknown ones are ignored.
    fixture
        .call(
            &fixture.ann,
            "update",
            &json!({"user": fixture.ben.gid, "options": {"color": "red"}}),
        )
        .await
        .success();
    assert_eq!(
        fixture.membership(&fixture.ben, &fixture.ben.gid).await["options"]["rate_limit_per_second"],
        json!(2000)
    );
    for user in [&fixture.ben.gid, &fixture.cas.gid, &fixture.ann.gid] {
        set(&fixture.ben, user, json!(null))
            .await
            .assert_forbidden();
    }
    for user in [&fixture.ann.gid, &fixture.robot.gid] {
        set(&fixture.ann, user, json!(3000)).await.success();
        assert_eq!(
            fixture.membership(&fixture.ann, user).await["options"]["rate_limit_per_second"],
            json!(3000)
        );
    }
    set(&fixture.ann, &fixture.dan.gid, json!(1))
        .await
        .assert_unprocessable("not_a_member");
    // The limit is enforced for this member only.
    set(&fixture.ann, &fixture.ben.gid, json!(1))
        .await
        .success();
    doorward_tests::eventually(
        "a rejected request",
        std::time::Duration::from_secs(5),
        async || {
            let answer = fixture
                .app
                .http
                .project_init(&fixture.project, &fixture.ben.token)
                .await;
            (answer.status == 429).then(|| answer.assert_throttled())
        },
    )
    .await;
    assert_eq!(
        fixture
            .app
            .http
            .project_init(&fixture.project, &fixture.cas.token)
            .await
            .status,
        200
    );
    assert_eq!(fixture.ben.init().await.status, 200);
}

async fn only_the_member_sets_notifications(backend: Backend) {
    let fixture = Fixture::new(backend).await;
    let set = async |caller: &User, user: &str, notifications: Value| {
        fixture
            .call(
                caller,
                "update",
                &json!({"user": user, "options": {"notifications": notifications}}),
            )
            .await
    };
    let mut expected = own_options("ben")["notifications"].clone();
    for (name, value) in [
        ("frequency", json!("daily")),
        ("events", json!(["items", "members"])),
        ("email", json!("Ben@work.example.org")),
        ("events", json!([])),
    ] {
        expected[name] = value.clone();
        let answer =
            fixture.named(&set(&fixture.ben, &fixture.ben.gid, json!({name: value})).await);
        let options = json!({"notifications": expected, "rate_limit_per_second": null});
        let membership = membership("ben", "active", "member", Some(options));
        let data = json!({"cc.projects_members": [membership]});
        assert_json_eq(
            &answer,
            &json!({"success": true, "result": {"user": "<ben>"}, "data": data}),
        );
    }
    for wrong in [
        json!(null),
        json!(1),
        json!([]),
        json!("x"),
        json!({"email": null}),
        json!({"email": 1}),
        json!({"events": "all"}),
        json!({"events": [1]}),
        json!({"events": [""]}),
        json!({"events": ["a\u{0}"]}),
        json!({"events": vec!["x"; 101]}),
        json!({"events": ["x".repeat(101)]}),
        json!({"frequency": null}),
        json!({"frequency": []}),
        json!({"frequency": " "}),
    ] {
        let answer = set(&fixture.ben, &fixture.ben.gid, wrong).await;
        answer.assert_bad_parameter("Invalid parameter", "options");
    }
    set(&fixture.ben, &fixture.ben.gid, json!({"email": "nowhere"}))
        .await
        .assert_validation_error("email", "invalid");
    set(&fixture.ben, &fixture.ben.gid, json!({}))
        .await
        .success();
    assert_eq!(
        fixture.membership(&fixture.ben, &fixture.ben.gid).await["options"]["notifications"],
        expected
    );
    // Only the member can see and set notifications.
    let seen = fixture
        .app
        .http
        .project_init(&fixture.project, &fixture.ann.token)
        .await
        .text();
    assert!(
        !seen.contains("work.example.org") && !seen.contains("daily"),
        "{seen}"
    );
    for caller in [&fixture.ann, &fixture.cas] {
        set(caller, &fixture.ben.gid, json!({"frequency": "never"}))
            .await
            .assert_forbidden();
    }
    let token = fixture.robot.auth().await.token();
    let program = User {
        gid: String::new(),
        username: String::new(),
        token,
        http: fixture.app.http.clone(),
    };
    set(&program, &fixture.robot.gid, json!({"frequency": "never"}))
        .await
        .assert_unprocessable("api_user");
}

async fn member_update_is_atomic(backend: Backend) {
    let fixture = Fixture::new(backend).await;
    let both = json!({"rate_limit_per_second": 5000, "notifications": {"frequency": "weekly"}});
    fixture
        .call(
            &fixture.ann,
            "update",
            &json!({"user": fixture.ann.gid, "options": both}),
        )
        .await
        .success();
    let own = fixture.membership(&fixture.ann, &fixture.ann.gid).await;
    assert_eq!(own["options"]["rate_limit_per_second"], json!(5000));
    assert_eq!(
        own["options"]["notifications"]["frequency"],
        json!("weekly")
    );
    for (caller, user) in [
        (&fixture.ann, &fixture.ben),
        (&fixture.ben, &fixture.ben),
        (&fixture.ben, &fixture.ann),
    ] {
        fixture
            .call(
                caller,
                "update",
                &json!({"user": user.gid, "options": both}),
            )
            .await
            .assert_forbidden();
    }
    assert_eq!(
        fixture.membership(&fixture.ben, &fixture.ben.gid).await["options"],
        own_options("ben")
    );
}
