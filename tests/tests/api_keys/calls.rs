//! Tests the responses, errors and permissions of the calls `/api/p/{project}/apikeys/...`. The
//! effects on logins and tokens are in `lifecycle.rs`.

use doorward_tests::{
    ApiUser, App, Backend, PASSWORD, User, on_both_databases,
    snapshots::{assert_json_eq, with_names},
    sql::execute,
};
use serde_json::{Value, json};

on_both_databases![
    each_call_answers_the_api_user_as_its_owner_sees_it,
    api_key_is_base58check_and_stable,
    name_is_trimmed_and_required,
    first_bad_parameter_is_reported,
    calls_require_the_owner_of_an_active_project,
    only_api_users_of_this_very_project_are_managed,
    fields_of_the_server_in_a_body_are_ignored,
    every_authenticated_call_rejects_missing_tokens,
];

pub(crate) const UNKNOWN_GID: &str = "0f8fad5b-d9cb-469f-a165-70867728950e";
const CALLS: [&str; 7] = [
    "create",
    "get",
    "update",
    "deactivate",
    "activate",
    "rotate",
    "delete",
];

/// A project of ann with the member ben and an API user.
struct Fixture {
    app: App,
    ann: User,
    ben: User,
    robot: ApiUser,
    project: String,
}

impl Fixture {
    async fn new(backend: Backend) -> Self {
        let app = App::start(backend).await;
        let ann = app.user("ann").await;
        let ben = app.user("ben").await;
        let project = app.installation.create_project("ann", "Herbarium").await;
        app.installation.add_member(&project, "ben").await;
        let robot = ann.create_api_user(&project, "Robot").await;
        Self {
            app,
            ann,
            ben,
            robot,
            project,
        }
    }

    /// Calls an operation as the owner.
    async fn call(&self, call: &str, body: &Value) -> doorward_tests::Response {
        self.ann.api_keys(&self.project, call, body).await
    }

    /// Returns the project as the owner sees it, and the API key.
    async fn snapshot(&self) -> Value {
        let (_, mut data) = self
            .app
            .http
            .project_init(&self.project, &self.ann.token)
            .await
            .success();
        data["cc.languages"] = json!("<languages>");
        let (key, _) = self
            .call("get", &json!({"user": self.robot.gid}))
            .await
            .success();
        json!({"data": data, "key": key["apikey"]})
    }
}

fn data(name: &str, status: &str) -> Value {
    json!({
        "cc.users": {"<user>": {"gid": "<user>", "username": null, "name": name, "avatar": null, "status": status}},
        "cc.projects_members": [{
            "project_gid": "<project>", "user_gid": "<user>", "status": status, "roles": ["api"],
            "options": {"rate_limit_per_second": null}
        }]
    })
}

async fn each_call_answers_the_api_user_as_its_owner_sees_it(backend: Backend) {
    let fixture = Fixture::new(backend).await;
    let created = fixture
        .call("create", &json!({"name": "Nightly export"}))
        .await;
    let user = created.json()["result"]["user"]
        .as_str()
        .expect("a gid")
        .to_owned();
    let names = [(user.as_str(), "<user>"), (&fixture.project, "<project>")];
    let assert_answer = |answer: &doorward_tests::Response, result: Value, data: Value| {
        answer.success();
        let expected = json!({"success": true, "result": result, "data": data});
        assert_json_eq(&with_names(&answer.json(), &names), &expected);
    };
    let same = json!({"user": "<user>"});
    assert_answer(&created, same.clone(), data("Nightly export", "active"));

    let body = json!({"user": user});
    let read = fixture.call("get", &body).await;
    let key = read.json()["result"]["apikey"].clone();
    assert_answer(&read, json!({"apikey": key}), json!({}));
    let renamed = fixture
        .call("update", &json!({"user": user, "name": "Export"}))
        .await;
    assert_answer(&renamed, same.clone(), data("Export", "active"));
    // Repeating a call is not an error.
    for (call, status) in [
        ("deactivate", "inactive"),
        ("deactivate", "inactive"),
        ("activate", "active"),
        ("activate", "active"),
    ] {
        assert_answer(
            &fixture.call(call, &body).await,
            same.clone(),
            data("Export", status),
        );
    }
    let rotated = fixture.call("rotate", &body).await;
    let new_key = rotated.json()["result"]["apikey"].clone();
    assert_ne!(new_key, key);
    assert_answer(
        &rotated,
        json!({"user": "<user>", "apikey": new_key}),
        data("Export", "active"),
    );
    assert_eq!(
        fixture.call("get", &body).await.success().0["apikey"],
        new_key
    );
    assert_answer(&fixture.call("delete", &body).await, json!({}), json!({}));
}

async fn api_key_is_base58check_and_stable(backend: Backend) {
    let fixture = Fixture::new(backend).await;
    let other = fixture.ann.create_api_user(&fixture.project, "Robot").await;
    for key in [&fixture.robot.key, &other.key] {
        let encoded = key.strip_prefix("dw_").unwrap_or_else(|| panic!("{key}"));
        let bytes = bs58::decode(encoded)
            .with_check(None)
            .into_vec()
            .expect("a valid checksum");
        assert_eq!(bytes.len(), 32);
    }
    assert_ne!(fixture.robot.key, other.key);
    assert_ne!(fixture.robot.gid, other.gid);
    for robot in [&fixture.robot, &other] {
        for _ in 0..3 {
            let (read, _) = fixture
                .call("get", &json!({"user": robot.gid}))
                .await
                .success();
            assert_eq!(read, json!({"apikey": robot.key}));
        }
        assert_eq!(robot.auth().await.success().0["user"], json!(robot.gid));
    }
}

async fn name_is_trimmed_and_required(backend: Backend) {
    let fixture = Fixture::new(backend).await;
    let longest = "\u{e9}".repeat(200);
    let bodies = |name: &str| {
        [
            ("create", json!({"name": name})),
            ("update", json!({"user": fixture.robot.gid, "name": name})),
        ]
    };
    for (name, stored) in [
        (" \tRobot 2\n ", "Robot 2"),
        (&*longest, &*longest),
        (&*format!("  {longest} "), &longest),
    ] {
        for (call, body) in bodies(name) {
            let (result, data) = fixture.call(call, &body).await.success();
            let user = &data["cc.users"][result["user"].as_str().expect("a gid")];
            assert_eq!(user["name"], json!(stored), "{call}");
        }
    }
    let before = fixture.snapshot().await;
    let too_long = longest + "x";
    for (name, reason) in [
        ("", "invalid"),
        (" \t\n", "invalid"),
        ("Ro\u{0}bot", "invalid"),
        ("Ro\nbot", "invalid"),
        ("Ro\u{7f}bot", "invalid"),
        ("Ro\u{85}bot", "invalid"),
        (&*too_long, "too_long"),
    ] {
        for (call, body) in bodies(name) {
            fixture
                .call(call, &body)
                .await
                .assert_validation_error("name", reason);
        }
    }
    assert_json_eq(&fixture.snapshot().await, &before);
}

async fn first_bad_parameter_is_reported(backend: Backend) {
    let fixture = Fixture::new(backend).await;
    let before = fixture.snapshot().await;
    let missing = |call: &str, body: Value, name: &'static str| {
        (call.to_owned(), body, "Missing parameter", name)
    };
    let invalid = |call: &str, body: Value, name: &'static str| {
        (call.to_owned(), body, "Invalid parameter", name)
    };
    let robot = &fixture.robot.gid;
    let mut cases = vec![
        missing("create", json!({}), "name"),
        missing("create", json!({"user": "x"}), "name"),
        invalid("create", json!({"name": null}), "name"),
        invalid("create", json!({"name": ["Robot"]}), "name"),
        missing("update", json!({"user": robot}), "name"),
        invalid("update", json!({"user": "x", "name": ""}), "user"),
        invalid("update", json!({"user": robot, "name": 1}), "name"),
    ];
    for call in &CALLS[1..] {
        cases.push(missing(call, json!({}), "user"));
        cases.push(missing(call, json!({"name": 1}), "user"));
        for user in [
            json!(null),
            json!(1),
            json!([robot]),
            json!(""),
            json!("x"),
            json!(format!("{robot} ")),
        ] {
            cases.push(invalid(call, json!({"user": user}), "user"));
        }
    }
    for (call, body, reason, name) in cases {
        fixture
            .call(&call, &body)
            .await
            .assert_bad_parameter(reason, name);
    }
    for call in CALLS {
        let valid = json!({"user": robot, "name": "x"});
        fixture
            .ann
            .api_keys("x", call, &valid)
            .await
            .assert_bad_parameter("Invalid parameter", "project");
        let path = format!("/api/p/{}/apikeys/{call}", fixture.project);
        let call = |body: &str| {
            let call = fixture.app.http.post(&path).bearer(&fixture.ann.token);
            call.header("content-type", "application/json")
                .body(body.to_owned())
        };
        for body in ["", "[]", "null", "{"] {
            call(body).send().await.assert_invalid_body();
        }
        let got = fixture
            .app
            .http
            .get(&path)
            .bearer(&fixture.ann.token)
            .send()
            .await;
        got.assert_error(405, "Method not allowed", &json!({}));
    }
    assert_json_eq(&fixture.snapshot().await, &before);
}

async fn calls_require_the_owner_of_an_active_project(backend: Backend) {
    let fixture = Fixture::new(backend).await;
    let app = &fixture.app;
    let project = &fixture.project;
    let stranger = app.user("cas").await;
    let mut tokens_without_permission = vec![
        fixture.ben.token.clone(),
        fixture.robot.auth().await.token(),
        stranger.token.clone(),
    ];
    for status in ["invited", "declined", "inactive", "gone"] {
        let former = app.user(&format!("x{status}")).await;
        app.installation.add_member(project, &former.gid).await;
        let condition = format!("project_gid = '{project}' AND user_gid = '{}'", former.gid);
        let change = match status {
            "gone" => format!("DELETE FROM memberships WHERE {condition}"),
            _ => format!("UPDATE memberships SET status = '{status}' WHERE {condition}"),
        };
        execute(&app.installation.databases.directory, &change);
        tokens_without_permission.push(former.token);
    }
    let other = app.installation.create_project("cas", "Other").await;
    let deleted = app.installation.create_project("ann", "Deleted").await;
    let ghost = fixture.ann.create_api_user(&deleted, "Ghost").await;
    execute(
        &app.installation.databases.directory,
        &format!("UPDATE projects SET status = 'deleted' WHERE gid = '{deleted}'"),
    );
    let before = fixture.snapshot().await;
    let first = stranger
        .api_keys(UNKNOWN_GID, "create", &json!({"name": "Robot"}))
        .await
        .text();
    for token in &tokens_without_permission {
        for call in CALLS {
            for (project, user) in [
                (project.as_str(), fixture.robot.gid.as_str()),
                (project, UNKNOWN_GID),
                (UNKNOWN_GID, UNKNOWN_GID),
            ] {
                let path = format!("/api/p/{project}/apikeys/{call}");
                let body =
                    json!({"user": user, "name": if user == UNKNOWN_GID { "" } else { "Mine" }});
                let answer = app.http.post(&path).bearer(token).json(&body).send().await;
                answer.assert_forbidden();
                assert_eq!(answer.text(), first);
            }
        }
    }
    // The owner of another project has no permission, and neither has the owner of a deleted one.
    for call in CALLS {
        let body = json!({"user": fixture.robot.gid, "name": "Mine"});
        stranger
            .api_keys(project, call, &body)
            .await
            .assert_forbidden();
        fixture
            .ann
            .api_keys(&other, call, &body)
            .await
            .assert_forbidden();
        fixture
            .ann
            .api_keys(&deleted, call, &json!({"user": ghost.gid, "name": "Mine"}))
            .await
            .assert_forbidden();
    }
    assert_json_eq(&fixture.snapshot().await, &before);
}

async fn only_api_users_of_this_very_project_are_managed(backend: Backend) {
    let fixture = Fixture::new(backend).await;
    let other = fixture
        .app
        .installation
        .create_project("ann", "Other")
        .await;
    let elsewhere = fixture.ann.create_api_user(&other, "Elsewhere").await;
    let before = fixture.snapshot().await;
    for call in &CALLS[1..] {
        for user in [
            fixture.ann.gid.as_str(),
            &fixture.ben.gid,
            UNKNOWN_GID,
            &elsewhere.gid,
            &fixture.project,
        ] {
            let body = json!({"user": user, "name": "x"});
            fixture
                .call(call, &body)
                .await
                .assert_unprocessable("not_an_api_user");
        }
        let body = json!({"user": fixture.robot.gid, "name": "x"});
        fixture
            .ann
            .api_keys(&other, call, &body)
            .await
            .assert_unprocessable("not_an_api_user");
    }
    assert_json_eq(&fixture.snapshot().await, &before);
    assert_eq!(elsewhere.auth().await.status, 200);
}

async fn fields_of_the_server_in_a_body_are_ignored(backend: Backend) {
    let fixture = Fixture::new(backend).await;
    let other = fixture
        .app
        .installation
        .create_project("ben", "Other")
        .await;
    let with = |body: Value| {
        let mut body = body;
        let extra = json!({
            "gid": fixture.ben.gid, "user_gid": fixture.ben.gid, "caller_gid": fixture.ben.gid, "project": other,
            "project_gid": other, "owner": fixture.ben.gid, "status": "inactive", "roles": ["owner"], "role": "owner",
            "username": "ben", "email": "ben@example.org", "password": PASSWORD, "avatar": "x.png", "is_active": false,
            "apikey": "dw_mine", "api_key": "dw_mine", "options": {"rate_limit_per_second": 1}
        });
        let members = body.as_object_mut().expect("an object");
        for (name, value) in extra.as_object().expect("an object") {
            members.entry(name.clone()).or_insert_with(|| value.clone());
        }
        body
    };
    let created = fixture
        .call(
            "create",
            &with(json!({"name": "Made", "user": fixture.ben.gid})),
        )
        .await;
    let user = created.success().0["user"]
        .as_str()
        .expect("a gid")
        .to_owned();
    assert!(
        ![&fixture.ben.gid, &fixture.robot.gid].contains(&&user),
        "{user}"
    );
    let names = [(user.as_str(), "<user>"), (&fixture.project, "<project>")];
    let described = |answer: &doorward_tests::Response| with_names(&answer.success().1, &names);
    assert_json_eq(&described(&created), &data("Made", "active"));
    let body = with(json!({"user": user, "name": "Renamed"}));
    for (call, status) in [
        ("update", "active"),
        ("deactivate", "inactive"),
        ("rotate", "inactive"),
        ("activate", "active"),
    ] {
        assert_json_eq(
            &described(&fixture.call(call, &body).await),
            &data("Renamed", status),
        );
    }
    let (read, _) = fixture.call("get", &body).await.success();
    assert_ne!(read["apikey"], json!("dw_mine"));
    fixture
        .app
        .http
        .auth(&fixture.project, "dw_mine")
        .await
        .assert_unknown_user();
    let (_, ben) = fixture
        .app
        .http
        .project_init(&other, &fixture.ben.token)
        .await
        .success();
    assert_eq!(ben["cc.projects_members"].as_array().map(Vec::len), Some(1));
}

/// Source of the gateway's routes. Tests read it, so that they also cover routes that are added.
pub(crate) const ROUTES: &str = include_str!("../../../crates/gateway/src/app.rs");

/// Returns the paths of the routes that require a token. In the source, they are after the comments
/// `With a token.`: the first in the list of all routes, the second in the list under a project.
pub(crate) fn authorised_paths() -> Vec<String> {
    let lists: Vec<&str> = ROUTES.split("// With a token.").skip(1).collect();
    let [all, in_project] = lists[..] else {
        panic!("app.rs must have two lists of routes after `// With a token.`")
    };
    let paths = |list: &str, prefix: &str| -> Vec<String> {
        let paths = list
            .split('"')
            .filter(|text| text.starts_with('/') && !text.contains(['\n', '{']));
        paths.map(|path| format!("{prefix}{path}")).collect()
    };
    let mut all = paths(all, "");
    // The text of the first list reaches to the next comment, so it also has paths of the second.
    all.retain(|path| path.starts_with("/api/") || path.starts_with("/sync/"));
    [all, paths(in_project, "/api/p/{project}")].concat()
}

async fn every_authenticated_call_rejects_missing_tokens(backend: Backend) {
    let fixture = Fixture::new(backend).await;
    let paths = authorised_paths();
    assert!(
        paths.contains(&"/api/p/{project}/apikeys/rotate".to_owned()) && paths.len() >= 10,
        "{paths:?}"
    );
    let before = fixture.snapshot().await;
    let mut body = json!({"name": "Mine", "token": fixture.ann.token, "JWT": fixture.ann.token, "everywhere": true});
    for field in ["caller", "caller_gid", "sub", "owner", "actor", "inviter"] {
        body[field] = json!(fixture.ann.gid);
    }
    for field in [
        "user",
        "user_gid",
        "gid",
        "member",
        "api_user",
        "invitee",
        "channel",
        "ordering",
        "fieldlist",
    ] {
        body[field] = json!(fixture.robot.gid);
    }
    for field in ["project", "project_gid"] {
        body[field] = json!(fixture.project);
    }
    for field in [
        "members",
        "user_gids",
        "channels",
        "orderings",
        "fieldlists",
    ] {
        body[field] = json!([fixture.ben.gid]);
    }
    body["username_or_email"] = json!("ben");
    body["options"] = json!({"rate_limit_per_second": 1});
    for path in paths {
        for project in [fixture.project.as_str(), UNKNOWN_GID, "x"] {
            let call = || {
                fixture
                    .app
                    .http
                    .post(&path.replace("{project}", project))
                    .json(&body)
            };
            call().send().await.assert_unauthenticated();
            call()
                .bearer("garbage")
                .send()
                .await
                .assert_unauthenticated();
            call()
                .bearer(&fixture.robot.key)
                .send()
                .await
                .assert_unauthenticated();
            call()
                .header("authorization", &fixture.ann.token)
                .send()
                .await
                .assert_unauthenticated();
        }
    }
    assert_json_eq(&fixture.snapshot().await, &before);
}
