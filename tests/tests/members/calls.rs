//! `/api/p/{project}/members/...`: what each call answers, and to whom. (Invitations: `invitations.rs`; every change of state:
//! `membership_table.rs`.)

use doorward_tests::{
    Answer, ApiUser, Backend, MailApp, PASSWORD, User, on_both_databases,
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

/// Herbarium is ann's, with ben, cas and an API user; dan has nothing to do with it.
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
        let (ann, ben) = (app.user("ann").await, app.user("ben").await);
        let (cas, dan) = (app.user("cas").await, app.user("dan").await);
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

    async fn call(&self, caller: &User, call: &str, body: &Value) -> Answer {
        caller
            .call(&format!("/api/p/{}/members/{call}", self.project), body)
            .await
    }

    /// A successful answer, whole, with names for ids.
    fn told(&self, answer: &Answer) -> Value {
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

    /// The one membership of an answer.
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

fn short(name: &str) -> Value {
    let mut short = complete(name);
    let fields = short.as_object_mut().expect("an object");
    fields.remove("email");
    fields.remove("options");
    short
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
    let scene = Fixture::new(backend).await;
    let get = async |caller: &User, member: &str| {
        scene.told(
            &scene
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
    // The owner: the limits of others, and all of their own.
    let expected = one(
        "ben",
        short("ben"),
        membership("ben", "active", "member", Some(no_limit())),
    );
    assert_json_eq(&get(&scene.ann, &scene.ben.gid).await, &expected);
    let expected = one(
        "robot",
        robot(),
        membership("robot", "active", "api", Some(no_limit())),
    );
    assert_json_eq(&get(&scene.ann, &scene.robot.gid).await, &expected);
    let expected = one(
        "ann",
        complete("ann"),
        membership("ann", "active", "owner", Some(own_options("ann"))),
    );
    assert_json_eq(&get(&scene.ann, &scene.ann.gid).await, &expected);
    // A member: nothing but the entries of others.
    let expected = one(
        "ann",
        short("ann"),
        membership("ann", "active", "owner", None),
    );
    assert_json_eq(&get(&scene.ben, &scene.ann.gid).await, &expected);
    let expected = one("robot", robot(), membership("robot", "active", "api", None));
    assert_json_eq(&get(&scene.ben, &scene.robot.gid).await, &expected);
    let expected = one(
        "ben",
        complete("ben"),
        membership("ben", "active", "member", Some(own_options("ben"))),
    );
    assert_json_eq(&get(&scene.ben, &scene.ben.gid).await, &expected);
    // A program.
    let token = scene.robot.auth().await.token();
    let program = User {
        gid: String::new(),
        username: String::new(),
        token,
        http: scene.app.http.clone(),
    };
    let expected = one(
        "ben",
        short("ben"),
        membership("ben", "active", "member", None),
    );
    assert_json_eq(&get(&program, &scene.ben.gid).await, &expected);
    let mut own = robot();
    own["email"] = json!(null);
    own["options"] = json!({"language": "en", "timezone": "Europe/Amsterdam"});
    let expected = one(
        "robot",
        own,
        membership("robot", "active", "api", Some(no_limit())),
    );
    assert_json_eq(&get(&program, &scene.robot.gid).await, &expected);

    for nobody in [scene.dan.gid.as_str(), UNKNOWN_GID] {
        scene
            .call(&scene.ben, "get", &json!({"member": nobody}))
            .await
            .assert_unprocessable("member_not_found");
    }
}

async fn members_are_returned_once_in_request_order(backend: Backend) {
    let scene = Fixture::new(backend).await;
    let (ann, ben, cas) = (&scene.ann.gid, &scene.ben.gid, &scene.cas.gid);
    let answer = scene
        .call(
            &scene.ben,
            "get",
            &json!({"members": [cas, ann, ben, cas, ann]}),
        )
        .await;
    let expected = success(
        &json!({"users": ["<cas>", "<ann>", "<ben>"]}),
        &[
            ("cas", short("cas")),
            ("ann", short("ann")),
            ("ben", complete("ben")),
        ],
        &[
            membership("cas", "active", "member", None),
            membership("ann", "active", "owner", None),
            membership("ben", "active", "member", Some(own_options("ben"))),
        ],
    );
    assert_json_eq(&scene.told(&answer), &expected);
    assert_eq!(answer.text().matches("\"username\":\"cas\"").count(), 1);
    let none = scene.told(&scene.call(&scene.ben, "get", &json!({"members": []})).await);
    assert_json_eq(&none, &success(&json!({"users": []}), &[], &[]));
    // All, or none.
    for nobody in [scene.dan.gid.as_str(), UNKNOWN_GID] {
        let answer = scene
            .call(&scene.ben, "get", &json!({"members": [ann, nobody]}))
            .await;
        answer.assert_unprocessable("member_not_found");
    }
    let many = |count: usize| json!({"members": vec![ann; count]});
    scene.call(&scene.ben, "get", &many(1000)).await.success();
    scene
        .call(&scene.ben, "get", &many(1001))
        .await
        .assert_bad_parameter("Invalid parameter", "members");
}

async fn first_bad_parameter_is_reported(backend: Backend) {
    let scene = Fixture::new(backend).await;
    let bad = async |call: &str, body: Value, reason: &str, name: &str| {
        scene
            .call(&scene.ann, call, &body)
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
        json!({"user": scene.ben.gid}),
        "Missing parameter",
        "options",
    )
    .await;
    for value in [json!(null), json!(1), json!("x"), json!([]), json!([{}])] {
        bad(
            "update",
            json!({"user": scene.ben.gid, "options": value}),
            "Invalid parameter",
            "options",
        )
        .await;
    }
}

async fn calls_require_a_token(backend: Backend) {
    let scene = Fixture::new(backend).await;
    let body = json!({"user": scene.ben.gid, "member": scene.ben.gid, "username_or_email": "dan", "options": {}});
    for call in CALLS {
        let path = format!("/api/p/{}/members/{call}", scene.project);
        for body in [&body, &json!({})] {
            scene
                .app
                .http
                .open(&path, body)
                .await
                .assert_unauthenticated();
            scene
                .app
                .http
                .post(&path)
                .bearer("x")
                .json(body)
                .send()
                .await
                .assert_unauthenticated();
        }
        let answer = scene
            .app
            .http
            .get(&path)
            .bearer(&scene.ann.token)
            .send()
            .await;
        answer.assert_error(405, "Method not allowed", &json!({}));
        // The same, whether there is such a project or not.
        scene.dan.call(&path, &body).await.assert_forbidden();
        scene
            .dan
            .call(&path.replace(&scene.project, UNKNOWN_GID), &body)
            .await
            .assert_forbidden();
        let bad = scene
            .dan
            .call(&path.replace(&scene.project, "x"), &body)
            .await;
        bad.assert_bad_parameter("Invalid parameter", "project");
    }
}

async fn deactivated_member_has_no_access_until_activated(backend: Backend) {
    let scene = Fixture::new(backend).await;
    let user = json!({"user": scene.ben.gid});
    // Once more is no mistake.
    for (call, status) in [
        ("deactivate", "inactive"),
        ("deactivate", "inactive"),
        ("activate", "active"),
        ("activate", "active"),
    ] {
        let answer = scene.told(&scene.call(&scene.ann, call, &user).await);
        let membership = membership("ben", status, "member", Some(no_limit()));
        assert_json_eq(
            &answer,
            &success(
                &json!({"user": "<ben>"}),
                &[("ben", short("ben"))],
                &[membership],
            ),
        );
        let is_in = status == "active";
        let inside = scene
            .app
            .http
            .project_init(&scene.project, &scene.ben.token)
            .await;
        assert_eq!(inside.status, if is_in { 200 } else { 403 });
        let door = scene
            .app
            .http
            .project_login(&scene.project, "ben", PASSWORD)
            .await;
        assert_eq!(door.status, if is_in { 200 } else { 403 });
        let (result, data) = scene.ben.init().await.success();
        assert_eq!(result["user_projects"].get(&scene.project).is_some(), is_in);
        assert_eq!(data.to_string().contains(&scene.project), is_in);
    }
    for (caller, what) in [
        (&scene.ben, &scene.cas.gid),
        (&scene.ben, &scene.ben.gid),
        (&scene.dan, &scene.ben.gid),
    ] {
        for call in ["deactivate", "activate"] {
            scene
                .call(caller, call, &json!({"user": what}))
                .await
                .assert_forbidden();
        }
    }
    for (user, reason) in [
        (&scene.ann.gid, "owner"),
        (&scene.robot.gid, "api_user"),
        (&scene.dan.gid, "not_a_member"),
        (&UNKNOWN_GID.to_owned(), "not_a_member"),
    ] {
        for call in ["deactivate", "activate"] {
            scene
                .call(&scene.ann, call, &json!({"user": user}))
                .await
                .assert_unprocessable(reason);
        }
    }
}

async fn removed_member_loses_access_to_the_project_only(backend: Backend) {
    let scene = Fixture::new(backend).await;
    let (own, _) = scene
        .ben
        .call("/api/projects/create", &json!({"name": "Garden"}))
        .await
        .success();
    let garden = own["project"].as_str().expect("a gid");
    let user = json!({"user": scene.ben.gid});
    let answer = scene.call(&scene.ann, "remove", &user).await;
    assert_json_eq(
        &answer.json(),
        &json!({"success": true, "result": {}, "data": {}}),
    );
    scene
        .call(&scene.ann, "remove", &user)
        .await
        .assert_unprocessable("not_a_member");

    // The same token, for other things.
    assert_eq!(
        scene
            .app
            .http
            .project_init(garden, &scene.ben.token)
            .await
            .status,
        200
    );
    let (result, data) = scene.ben.init().await.success();
    assert_eq!(result["user_projects"], json!({garden: ["owner"]}));
    assert!(!data.to_string().contains(&scene.project));
    scene
        .app
        .http
        .project_init(&scene.project, &scene.ben.token)
        .await
        .assert_forbidden();
    for call in CALLS {
        let body = json!({"user": scene.cas.gid, "member": scene.cas.gid, "username_or_email": "dan", "options": {}});
        scene.call(&scene.ben, call, &body).await.assert_forbidden();
    }
    let seen = scene
        .app
        .http
        .project_init(&scene.project, &scene.ann.token)
        .await;
    assert!(!seen.text().contains(&scene.ben.gid));
    for (user, reason) in [
        (&scene.ann.gid, "owner"),
        (&scene.robot.gid, "api_user"),
        (&scene.dan.gid, "not_a_member"),
    ] {
        scene
            .call(&scene.ann, "remove", &json!({"user": user}))
            .await
            .assert_unprocessable(reason);
    }
    // They begin anew.
    scene
        .call(
            &scene.ann,
            "update",
            &json!({"user": scene.cas.gid, "options": {"rate_limit_per_second": 100}}),
        )
        .await
        .success();
    scene
        .call(&scene.ann, "remove", &json!({"user": scene.cas.gid}))
        .await
        .success();
    scene
        .app
        .installation
        .add_member(&scene.project, "cas")
        .await;
    let again = scene.membership(&scene.cas, &scene.cas.gid).await;
    assert_eq!(again["options"], own_options("cas"));
}

async fn members_can_remove_only_themselves(backend: Backend) {
    let scene = Fixture::new(backend).await;
    let others = [
        &scene.ann.gid,
        &scene.cas.gid,
        &scene.robot.gid,
        &scene.dan.gid,
        &UNKNOWN_GID.to_owned(),
    ];
    for other in others {
        scene
            .call(&scene.ben, "remove", &json!({"user": other}))
            .await
            .assert_forbidden();
    }
    scene
        .call(&scene.dan, "remove", &json!({"user": scene.dan.gid}))
        .await
        .assert_forbidden();
    scene
        .call(&scene.ann, "remove", &json!({"user": scene.ann.gid}))
        .await
        .assert_unprocessable("owner");
    let answer = scene
        .call(&scene.ben, "remove", &json!({"user": scene.ben.gid}))
        .await;
    assert_json_eq(
        &answer.json(),
        &json!({"success": true, "result": {}, "data": {}}),
    );
    scene
        .call(&scene.ben, "remove", &json!({"user": scene.ben.gid}))
        .await
        .assert_forbidden();

    // The other way out.
    let leave = json!({"project": scene.project});
    let answer = scene.cas.call("/api/account/leave_project", &leave).await;
    assert_json_eq(
        &answer.json(),
        &json!({"success": true, "result": {}, "data": {}}),
    );
    assert_eq!(
        scene.app.http.init(&answer.token()).await.success().0["user_projects"],
        json!({})
    );
    scene
        .cas
        .call("/api/account/leave_project", &leave)
        .await
        .assert_unprocessable("not_a_member");
    scene
        .cas
        .call(
            "/api/account/leave_project",
            &json!({"project": UNKNOWN_GID}),
        )
        .await
        .assert_unprocessable("not_a_member");
    scene
        .ann
        .call("/api/account/leave_project", &leave)
        .await
        .assert_unprocessable("owner");
    scene
        .cas
        .call("/api/account/leave_project", &json!({}))
        .await
        .assert_bad_parameter("Missing parameter", "project");
    scene
        .app
        .http
        .open("/api/account/leave_project", &leave)
        .await
        .assert_unauthenticated();
}

async fn only_the_owner_sets_limits(backend: Backend) {
    let scene = Fixture::new(backend).await;
    let set = async |caller: &User, user: &str, limit: Value| {
        scene
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
        let answer = scene.told(&set(&scene.ann, &scene.ben.gid, limit.clone()).await);
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
            scene.membership(&scene.ben, &scene.ben.gid).await["options"]["rate_limit_per_second"],
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
        let answer = set(&scene.ann, &scene.ben.gid, limit).await;
        answer.assert_bad_parameter("Invalid parameter", "options");
    }
    assert_eq!(
        scene.membership(&scene.ben, &scene.ben.gid).await["options"]["rate_limit_per_second"],
        json!(2000)
    );
    // Nothing said is nothing changed.
    scene
        .call(
            &scene.ann,
            "update",
            &json!({"user": scene.ben.gid, "options": {"color": "red"}}),
        )
        .await
        .success();
    assert_eq!(
        scene.membership(&scene.ben, &scene.ben.gid).await["options"]["rate_limit_per_second"],
        json!(2000)
    );
    for user in [&scene.ben.gid, &scene.cas.gid, &scene.ann.gid] {
        set(&scene.ben, user, json!(null)).await.assert_forbidden();
    }
    for user in [&scene.ann.gid, &scene.robot.gid] {
        set(&scene.ann, user, json!(3000)).await.success();
        assert_eq!(
            scene.membership(&scene.ann, user).await["options"]["rate_limit_per_second"],
            json!(3000)
        );
    }
    set(&scene.ann, &scene.dan.gid, json!(1))
        .await
        .assert_unprocessable("not_a_member");
    // It is enforced, and for that member alone.
    set(&scene.ann, &scene.ben.gid, json!(1)).await.success();
    doorward_tests::eventually("a refusal", std::time::Duration::from_secs(5), async || {
        let answer = scene
            .app
            .http
            .project_init(&scene.project, &scene.ben.token)
            .await;
        (answer.status == 429).then(|| answer.assert_throttled())
    })
    .await;
    assert_eq!(
        scene
            .app
            .http
            .project_init(&scene.project, &scene.cas.token)
            .await
            .status,
        200
    );
    assert_eq!(scene.ben.init().await.status, 200);
}

async fn only_the_member_sets_notifications(backend: Backend) {
    let scene = Fixture::new(backend).await;
    let set = async |caller: &User, user: &str, notifications: Value| {
        scene
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
        let answer = scene.told(&set(&scene.ben, &scene.ben.gid, json!({name: value})).await);
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
        let answer = set(&scene.ben, &scene.ben.gid, wrong).await;
        answer.assert_bad_parameter("Invalid parameter", "options");
    }
    set(&scene.ben, &scene.ben.gid, json!({"email": "nowhere"}))
        .await
        .assert_validation_error("email", "invalid");
    set(&scene.ben, &scene.ben.gid, json!({})).await.success();
    assert_eq!(
        scene.membership(&scene.ben, &scene.ben.gid).await["options"]["notifications"],
        expected
    );
    // Nobody sees them but they, and nobody sets them for others.
    let seen = scene
        .app
        .http
        .project_init(&scene.project, &scene.ann.token)
        .await
        .text();
    assert!(
        !seen.contains("work.example.org") && !seen.contains("daily"),
        "{seen}"
    );
    for caller in [&scene.ann, &scene.cas] {
        set(caller, &scene.ben.gid, json!({"frequency": "never"}))
            .await
            .assert_forbidden();
    }
    let token = scene.robot.auth().await.token();
    let program = User {
        gid: String::new(),
        username: String::new(),
        token,
        http: scene.app.http.clone(),
    };
    set(&program, &scene.robot.gid, json!({"frequency": "never"}))
        .await
        .assert_unprocessable("api_user");
}

async fn member_update_is_atomic(backend: Backend) {
    let scene = Fixture::new(backend).await;
    let both = json!({"rate_limit_per_second": 5000, "notifications": {"frequency": "weekly"}});
    scene
        .call(
            &scene.ann,
            "update",
            &json!({"user": scene.ann.gid, "options": both}),
        )
        .await
        .success();
    let own = scene.membership(&scene.ann, &scene.ann.gid).await;
    assert_eq!(own["options"]["rate_limit_per_second"], json!(5000));
    assert_eq!(
        own["options"]["notifications"]["frequency"],
        json!("weekly")
    );
    for (caller, user) in [
        (&scene.ann, &scene.ben),
        (&scene.ben, &scene.ben),
        (&scene.ben, &scene.ann),
    ] {
        scene
            .call(
                caller,
                "update",
                &json!({"user": user.gid, "options": both}),
            )
            .await
            .assert_forbidden();
    }
    assert_eq!(
        scene.membership(&scene.ben, &scene.ben.gid).await["options"],
        own_options("ben")
    );
}
