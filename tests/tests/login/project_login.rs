//! Tests that `/api/p/{project}/login`, `/auth` and `/init` return the full project to its active
//! members and API users, and that all failed logins have the same response.

use std::time::Duration;

use doorward_tests::{
    ApiUser, App, Backend, PASSWORD, User, eventually, on_both_databases,
    snapshots::{assert_json_eq, redact_project},
    sql::execute,
};
use serde_json::{Value, json};

use crate::login::user_login::comparable_headers;

on_both_databases![
    project_login_returns_the_full_project,
    member_sees_no_options_of_others,
    api_user_logs_in_and_sees_members,
    init_equals_login_with_a_new_token,
    members_in_every_status_are_visible,
    project_init_shows_changes,
    first_bad_parameter_is_reported,
    every_failed_project_login_looks_the_same,
    project_init_requires_active_membership,
];

const UNKNOWN_GID: &str = "0f8fad5b-d9cb-469f-a165-70867728950e";

/// Two projects: ann owns Herbarium, with the member ben and an API user; cas owns Atlas, with the
/// member ann.
struct Fixture {
    app: App,
    ann: User,
    ben: User,
    cas: User,
    robot: ApiUser,
    herbarium: String,
    atlas: String,
}

impl Fixture {
    async fn new(backend: Backend) -> Self {
        let app = App::start(backend).await;
        let ann = app.user("ann").await;
        let ben = app.user("ben").await;
        let cas = app.user("cas").await;
        let herbarium = app.installation.create_project("ann", "Herbarium").await;
        let atlas = app.installation.create_project("cas", "Atlas").await;
        app.installation.add_member(&herbarium, "ben").await;
        app.installation.add_member(&atlas, "ann").await;
        let robot = ann.create_api_user(&herbarium, "Robot").await;
        Self {
            app,
            ann,
            ben,
            cas,
            robot,
            herbarium,
            atlas,
        }
    }

    fn redacted(&self, answer: &Value) -> Value {
        let names = [
            (self.ann.gid.as_str(), "1-ann"),
            (&self.ben.gid, "2-ben"),
            (&self.cas.gid, "3-cas"),
            (&self.robot.gid, "4-robot"),
            (&self.herbarium, "1-herbarium"),
            (&self.atlas, "2-atlas"),
        ];
        redact_project(answer, &names)
    }

    async fn login(&self, username: &str) -> doorward_tests::Response {
        self.app
            .http
            .project_login(&self.herbarium, username, PASSWORD)
            .await
    }

    fn change_directory(&self, sql: &str) {
        execute(&self.app.installation.databases.directory, sql);
    }

    fn set_membership(&self, user: &User, status: &str) {
        let project = &self.herbarium;
        let user = &user.gid;
        self.change_directory(&format!(
            "UPDATE memberships SET status = '{status}' WHERE project_gid = '{project}' AND user_gid = '{user}'"
        ));
    }
}

/// Returns the complete expected response. The parameters are the parts that differ by caller.
fn answer(result: [Value; 3], users: &Value, projects: &Value, memberships: &Value) -> Value {
    let [user, user_projects, members] = result;
    json!({
        "success": true,
        "result": {
            "user": user,
            "user_projects": user_projects,
            "cc.version": "<version>",
            "cc.cursor": "<cursor>",
            "project": "1-herbarium",
            "project_members": members,
            "last_backed_up": null,
            "cursor": "<cursor>"
        },
        "data": {
            "cc.users": users,
            "cc.projects": projects,
            "cc.projects_members": memberships,
            "cc.languages": "<languages>",
            "definitions": {},
            "classes": {},
            "fields": {},
            "layouts": {},
            "queries": {}
        }
    })
}

fn short(gid: &str, username: &str, name: &str) -> Value {
    json!({"gid": gid, "username": username, "name": name, "avatar": null, "status": "active"})
}

fn complete(gid: &str, username: &str, name: &str) -> Value {
    json!({
        "gid": gid, "username": username, "email": format!("{username}@example.org"), "name": name, "avatar": null,
        "status": "active", "options": {"language": "en", "timezone": "Europe/Amsterdam"}
    })
}

fn short_robot() -> Value {
    json!({"gid": "4-robot", "username": null, "name": "Robot", "avatar": null, "status": "active"})
}

fn herbarium() -> Value {
    json!({
        "gid": "1-herbarium", "name": "Herbarium", "icon": null, "owner": "1-ann", "status": "active",
        "options": {
            "channels": {"__all__": "[all records]", "<channel>": "Main channel"},
            "orderedchannels": ["__all__", "<channel>"],
            "orderings": {"<ordering>": "Main ordering"},
            "orderedorderings": ["<ordering>"],
            "fieldlists": {"<fieldlist>": "Main fieldlist"},
            "orderedfieldlists": ["<fieldlist>"],
            "languages": ["en", "nl"],
            "timezone": "Europe/Amsterdam",
            "imageserver": {"type": "ccdam", "options": {}}
        },
        "build": 1,
        "backups": {"versions": [], "next_version": 1}
    })
}

fn own_options(username: &str) -> Value {
    json!({
        "notifications": {"email": format!("{username}@example.org"), "events": ["all"], "frequency": "immediate"},
        "rate_limit_per_second": null
    })
}

fn membership(user: &str, role: &str) -> Value {
    json!({"project_gid": "1-herbarium", "user_gid": user, "status": "active", "roles": [role]})
}

fn membership_with(user: &str, role: &str, options: &Value) -> Value {
    let mut membership = membership(user, role);
    membership["options"] = options.clone();
    membership
}

async fn project_login_returns_the_full_project(backend: Backend) {
    let fixture = Fixture::new(backend).await;
    let login = fixture.login("ann").await;
    let atlas = json!({"gid": "2-atlas", "name": "Atlas", "icon": null, "owner": "3-cas", "status": "active"});
    let limit = json!({"rate_limit_per_second": null});
    assert_json_eq(
        &fixture.redacted(&login.json()),
        &answer(
            [
                json!("1-ann"),
                json!({"1-herbarium": ["owner"], "2-atlas": ["member"]}),
                json!(["1-ann", "2-ben", "4-robot"]),
            ],
            &json!({"1-ann": complete("1-ann", "ann", "Ann"), "2-ben": short("2-ben", "ben", "Ben"), "4-robot": short_robot()}),
            &json!({"1-herbarium": herbarium(), "2-atlas": atlas}),
            &json!([
                membership_with("1-ann", "owner", &own_options("ann")),
                membership_with("2-ben", "member", &limit),
                membership_with("4-robot", "api", &limit)
            ]),
        ),
    );
    login.success();
    // The token is also valid outside the project.
    assert_eq!(fixture.app.http.init(&login.token()).await.status, 200);
}

async fn member_sees_no_options_of_others(backend: Backend) {
    let fixture = Fixture::new(backend).await;
    let login = fixture.login("ben").await;
    assert_json_eq(
        &fixture.redacted(&login.json()),
        &answer(
            [
                json!("2-ben"),
                json!({"1-herbarium": ["member"]}),
                json!(["2-ben", "1-ann", "4-robot"]),
            ],
            &json!({"1-ann": short("1-ann", "ann", "Ann"), "2-ben": complete("2-ben", "ben", "Ben"), "4-robot": short_robot()}),
            &json!({"1-herbarium": herbarium()}),
            &json!([
                membership("1-ann", "owner"),
                membership_with("2-ben", "member", &own_options("ben")),
                membership("4-robot", "api")
            ]),
        ),
    );
    login.success();
}

async fn api_user_logs_in_and_sees_members(backend: Backend) {
    let fixture = Fixture::new(backend).await;
    let auth = fixture.robot.auth().await;
    let robot = json!({
        "gid": "4-robot", "username": null, "email": null, "name": "Robot", "avatar": null, "status": "active",
        "options": {"language": "en", "timezone": "Europe/Amsterdam"}
    });
    let expected = answer(
        [
            json!("4-robot"),
            json!({"1-herbarium": ["api"]}),
            json!(["4-robot", "1-ann", "2-ben"]),
        ],
        &json!({"1-ann": short("1-ann", "ann", "Ann"), "2-ben": short("2-ben", "ben", "Ben"), "4-robot": robot}),
        &json!({"1-herbarium": herbarium()}),
        &json!([
            membership("1-ann", "owner"),
            membership("2-ben", "member"),
            membership_with("4-robot", "api", &json!({"rate_limit_per_second": null}))
        ]),
    );
    assert_json_eq(&fixture.redacted(&auth.json()), &expected);
    auth.success();
    let claims = crate::tokens::verify::part(&auth.token(), 1);
    assert_eq!(
        (&claims["sub"], &claims["kind"]),
        (&json!(fixture.robot.gid), &json!("api"))
    );
    let init = fixture
        .app
        .http
        .project_init(&fixture.herbarium, &auth.token())
        .await;
    assert_json_eq(&fixture.redacted(&init.json()), &expected);
    assert_ne!(init.token(), auth.token());
}

async fn init_equals_login_with_a_new_token(backend: Backend) {
    let fixture = Fixture::new(backend).await;
    let http = &fixture.app.http;
    let login_path = format!("/api/p/{}/login", fixture.herbarium);
    let path = format!("/api/p/{}/init", fixture.herbarium);
    for username in ["ann", "ben"] {
        // `omit_extended_definitions` is ignored, even if its type is wrong.
        let body = json!({"username": username, "password": PASSWORD, "omit_extended_definitions": "x", "user": "x", "project": 1});
        let login = http.post(&login_path).json(&body).send().await;
        let mut token = login.token();
        let calls = [
            http.get(&path),
            http.post(&path),
            http.post(&path).json(&json!({})),
            http.post(&path)
                .json(&json!({"omit_extended_definitions": true, "project": fixture.atlas})),
        ];
        for call in calls {
            let init = call.bearer(&token).send().await;
            init.success();
            assert_json_eq(&init.json(), &login.json());
            assert_ne!(init.token(), token, "the response must have a new token");
            token = init.token();
        }
        // A token of `/api/login` gives the same response.
        let elsewhere = http.login(username, PASSWORD).await.token();
        assert_json_eq(
            &http
                .project_init(&fixture.herbarium, &elsewhere)
                .await
                .json(),
            &login.json(),
        );
    }
    let body = json!({"api_key": fixture.robot.key, "omit_extended_definitions": true});
    let auth = http
        .post(&format!("/api/p/{}/auth", fixture.herbarium))
        .json(&body)
        .send()
        .await;
    assert_json_eq(&auth.json(), &fixture.robot.auth().await.json());
}

async fn members_in_every_status_are_visible(backend: Backend) {
    let fixture = Fixture::new(backend).await;
    let deactivated = fixture
        .ann
        .api_keys(
            &fixture.herbarium,
            "deactivate",
            &json!({"user": fixture.robot.gid}),
        )
        .await;
    deactivated.success();
    for status in ["invited", "declined", "inactive"] {
        fixture.set_membership(&fixture.ben, status);
        // SQL writes no change to the feed. Adding a member does, and ends the caching of the init.
        fixture
            .app
            .installation
            .add_member(&fixture.herbarium, "cas")
            .await;
        let (result, data) = fixture.login("ann").await.success();
        assert_eq!(
            result["project_members"],
            json!([fixture.ann.gid, fixture.cas.gid]),
            "{status}"
        );
        let memberships = data["cc.projects_members"].as_array().expect("a list");
        let status_of = |gid: &str| {
            memberships
                .iter()
                .find(|found| found["user_gid"] == gid)
                .map(|found| found["status"].clone())
        };
        assert_eq!(status_of(&fixture.ben.gid), Some(json!(status)));
        assert_eq!(status_of(&fixture.robot.gid), Some(json!("inactive")));
        // A client looks up the user of each membership.
        for membership in memberships {
            let user = &data["cc.users"][membership["user_gid"].as_str().expect("a gid")];
            assert_eq!(
                user["gid"], membership["user_gid"],
                "{status}: {membership}"
            );
        }
        fixture.change_directory(&format!(
            "DELETE FROM memberships WHERE user_gid = '{}' AND project_gid = '{}'",
            fixture.cas.gid, fixture.herbarium
        ));
    }
}

async fn project_init_shows_changes(backend: Backend) {
    let fixture = Fixture::new(backend).await;
    let http = &fixture.app.http;
    let (before, _) = http
        .project_init(&fixture.herbarium, &fixture.ben.token)
        .await
        .success();
    fixture
        .app
        .installation
        .add_member(&fixture.herbarium, "cas")
        .await;
    let (after, data) = http
        .project_init(&fixture.herbarium, &fixture.ben.token)
        .await
        .success();
    assert!(
        after["cursor"].as_i64() >= before["cursor"].as_i64(),
        "{before} {after}"
    );
    assert!(
        after["cc.cursor"].as_i64() > before["cc.cursor"].as_i64(),
        "{before} {after}"
    );
    assert_eq!(after["project_members"].as_array().map(Vec::len), Some(4));
    assert_eq!(data["cc.users"][&fixture.cas.gid]["name"], json!("Cas"));
    // The inits of the user and of each project are cached separately.
    assert_eq!(
        http.init(&fixture.ben.token)
            .await
            .success()
            .0
            .get("project"),
        None
    );
    let atlas = http
        .project_init(&fixture.atlas, &fixture.ann.token)
        .await
        .success();
    assert_eq!(atlas.0["project"], json!(fixture.atlas));
    assert!(
        atlas.1["cc.projects"][&fixture.herbarium]
            .get("options")
            .is_none()
    );
    let herbarium = http
        .project_init(&fixture.herbarium, &fixture.ann.token)
        .await
        .success();
    assert_eq!(herbarium.0["project"], json!(fixture.herbarium));
}

async fn first_bad_parameter_is_reported(backend: Backend) {
    let fixture = Fixture::new(backend).await;
    let http = &fixture.app.http;
    let login = format!("/api/p/{}/login", fixture.herbarium);
    let auth = format!("/api/p/{}/auth", fixture.herbarium);
    let cases = [
        (&login, json!({}), "Missing parameter", "username"),
        (
            &login,
            json!({"password": 1}),
            "Missing parameter",
            "username",
        ),
        (
            &login,
            json!({"username": null}),
            "Invalid parameter",
            "username",
        ),
        (
            &login,
            json!({"username": 1, "password": 1}),
            "Invalid parameter",
            "username",
        ),
        (
            &login,
            json!({"username": "ann"}),
            "Missing parameter",
            "password",
        ),
        (
            &login,
            json!({"username": "ann", "password": ["x"]}),
            "Invalid parameter",
            "password",
        ),
        (&auth, json!({}), "Missing parameter", "api_key"),
        (
            &auth,
            json!({"username": "ann", "password": PASSWORD}),
            "Missing parameter",
            "api_key",
        ),
        (
            &auth,
            json!({"api_key": null}),
            "Invalid parameter",
            "api_key",
        ),
        (
            &auth,
            json!({"api_key": {"x": fixture.robot.key}}),
            "Invalid parameter",
            "api_key",
        ),
    ];
    for (path, body, reason, name) in cases {
        http.post(path)
            .json(&body)
            .send()
            .await
            .assert_bad_parameter(reason, name);
    }
    for project in [
        "x",
        "__all__",
        "0f8fad5bd9cb469fa16570867728950e",
        "0f8fad5b-d9cb-469f-a165-70867728950g",
        "%27",
    ] {
        for (call, body) in [
            ("login", json!({})),
            ("login", json!({"username": "ann", "password": PASSWORD})),
            ("auth", json!({"api_key": fixture.robot.key})),
            ("init", json!({})),
        ] {
            let path = format!("/api/p/{project}/{call}");
            let answer = fixture.ann.call(&path, &body).await;
            answer.assert_bad_parameter("Invalid parameter", "project");
        }
    }
    for path in [&login, &auth] {
        for body in ["", "[]", "x", "null"] {
            let call = http
                .post(path)
                .header("content-type", "application/json")
                .body(body.to_owned());
            call.send().await.assert_invalid_body();
        }
        http.get(path)
            .send()
            .await
            .assert_error(405, "Method not allowed", &json!({}));
    }
}

// Neither the body nor the headers may differ.
async fn every_failed_project_login_looks_the_same(backend: Backend) {
    let fixture = Fixture::new(backend).await;
    let app = &fixture.app;
    let http = &fixture.app.http;
    let herbarium = &fixture.herbarium;
    let atlas = &fixture.atlas;
    let dan = app.user("dan").await;
    let eva = app.user("eva").await;
    let fay = app.user("fay").await;
    for member in [&dan, &eva, &fay] {
        app.installation.add_member(herbarium, &member.gid).await;
    }
    app.installation.change_user("deactivate", "dan").await;
    fixture.set_membership(&eva, "invited");
    fixture.set_membership(&fay, "inactive");
    let deleted = fixture.ann.create_api_user(herbarium, "Gone").await;
    fixture
        .ann
        .api_keys(herbarium, "delete", &json!({"user": deleted.gid}))
        .await
        .success();
    let deactivated = fixture.ann.create_api_user(herbarium, "Asleep").await;
    fixture
        .ann
        .api_keys(herbarium, "deactivate", &json!({"user": deactivated.gid}))
        .await
        .success();
    let closed = app.installation.create_project("ann", "Closed").await;
    let closed_robot = fixture.ann.create_api_user(&closed, "Robot").await;
    fixture.change_directory(&format!(
        "UPDATE projects SET status = 'deleted' WHERE gid = '{closed}'"
    ));

    let first = http.login("nobody", PASSWORD).await;
    let login = async |project: &str, username: &str, password: &str| {
        (
            format!("{username:?} {password:?} at {project}"),
            http.project_login(project, username, password).await,
        )
    };
    let auth = async |project: &str, key: &str| {
        (
            format!("{key:?} at {project}"),
            http.auth(project, key).await,
        )
    };
    let key = &fixture.robot.key;
    let robot = &fixture.robot.gid;
    let answers = [
        login(herbarium, "nobody", PASSWORD).await,
        login(herbarium, "ann", "a wrong password").await,
        login(herbarium, "ann", key).await,
        login(herbarium, "cas", PASSWORD).await,
        login(herbarium, "dan", PASSWORD).await,
        login(herbarium, "eva", PASSWORD).await,
        login(herbarium, "fay", PASSWORD).await,
        login(herbarium, "", "").await,
        login(herbarium, "Robot", key).await,
        login(herbarium, robot, key).await,
        login(atlas, "ben", PASSWORD).await,
        login(&closed, "ann", PASSWORD).await,
        login(UNKNOWN_GID, "ann", PASSWORD).await,
        auth(herbarium, "").await,
        auth(herbarium, "garbage").await,
        auth(herbarium, "dw_1111").await,
        auth(herbarium, &key[..key.len() - 1]).await,
        auth(herbarium, &format!(" {key}")).await,
        auth(herbarium, &format!("{key}1")).await,
        auth(herbarium, &key.to_uppercase()).await,
        auth(herbarium, &key.repeat(1000)).await,
        auth(herbarium, PASSWORD).await,
        auth(herbarium, robot).await,
        auth(herbarium, &fixture.ann.token).await,
        auth(herbarium, &deleted.key).await,
        auth(herbarium, &deactivated.key).await,
        auth(atlas, key).await,
        auth(&closed, &closed_robot.key).await,
        auth(UNKNOWN_GID, key).await,
    ];
    for (attempt, answer) in answers {
        answer.assert_unknown_user();
        assert_eq!(answer.text(), first.text(), "{attempt}");
        assert_eq!(
            comparable_headers(&answer.headers),
            comparable_headers(&first.headers),
            "{attempt}"
        );
    }
    assert_eq!(fixture.robot.auth().await.status, 200);
}

async fn project_init_requires_active_membership(backend: Backend) {
    let fixture = Fixture::new(backend).await;
    let http = &fixture.app.http;
    let herbarium = &fixture.herbarium;
    for token in [None, Some("garbage"), Some(&*fixture.robot.key)] {
        for project in [herbarium, UNKNOWN_GID, "x"] {
            let call = http.get(&format!("/api/p/{project}/init"));
            let call = if let Some(token) = token {
                call.bearer(token)
            } else {
                call
            };
            call.send().await.assert_unauthenticated();
        }
    }
    let stranger = http.project_init(herbarium, &fixture.cas.token).await;
    let nowhere = http.project_init(UNKNOWN_GID, &fixture.cas.token).await;
    let robot = http
        .project_init(&fixture.atlas, &fixture.robot.auth().await.token())
        .await;
    for answer in [&stranger, &nowhere, &robot] {
        answer.assert_forbidden();
        assert_eq!(answer.text(), stranger.text());
        assert_eq!(
            comparable_headers(&answer.headers),
            comparable_headers(&stranger.headers)
        );
    }
    for status in ["invited", "declined", "inactive"] {
        fixture.set_membership(&fixture.ben, status);
        http.project_init(herbarium, &fixture.ben.token)
            .await
            .assert_forbidden();
    }
    fixture.set_membership(&fixture.ben, "active");
    assert_eq!(
        http.project_init(herbarium, &fixture.ben.token)
            .await
            .status,
        200
    );
    fixture.change_directory(&format!(
        "UPDATE projects SET status = 'deleted' WHERE gid = '{}'",
        fixture.atlas
    ));
    for token in [&fixture.cas.token, &fixture.ann.token] {
        http.project_init(&fixture.atlas, token)
            .await
            .assert_forbidden();
    }
    fixture
        .app
        .installation
        .change_user("deactivate", "ben")
        .await;
    let rejected = eventually("401", Duration::from_secs(10), async || {
        Some(http.project_init(herbarium, &fixture.ben.token).await)
            .filter(|answer| answer.status == 401)
    });
    rejected.await.assert_unauthenticated();
}
