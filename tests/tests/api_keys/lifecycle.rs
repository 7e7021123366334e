//! Tests when keys and tokens of API users become valid and invalid, also across restarts of auth,
//! and that keys are never stored or logged in clear.

use std::time::Duration;

use doorward_rpc::directory::v1::{
    Action, Change, WatchChangesRequest, directory_client::DirectoryClient,
};
use doorward_tests::{
    ApiUser, App, Backend, Http, Installation, PASSWORD, Services, User, eventually,
    on_both_databases,
    services::Role,
    snapshots::{assert_json_eq, redact},
    sql::{execute, texts},
};
use futures_util::{StreamExt, future::join_all};
use serde_json::{Value, json};

use crate::{api_keys::calls::UNKNOWN_GID, grpc::contract};

on_both_databases![
    deactivation_invalidates_key_and_tokens_permanently,
    repeated_deactivations_in_one_second_revoke_earlier_tokens,
    rotated_key_replaces_the_old_one_immediately,
    concurrent_rotations_leave_one_key,
    deleted_api_user_is_removed_everywhere,
    api_user_inits_and_is_visible_to_members,
    api_user_logs_in_only_with_its_key,
    api_user_stays_in_its_own_project,
    command_line_creates_api_users_next_to_a_server,
    every_change_is_a_row_of_the_feed,
    api_user_created_without_auth_gets_its_key_later,
    auth_applies_api_user_changes_after_a_restart,
    keys_are_not_stored_in_clear,
];

/// Maximum time until auth has applied a change of the directory.
const EVENTUALLY_TIMEOUT: Duration = Duration::from_secs(10);

/// Starts a server and creates a project of ann with an API user.
async fn start(backend: Backend) -> (App, User, String, ApiUser) {
    let app = App::start(backend).await;
    let ann = app.user("ann").await;
    let project = app.installation.create_project("ann", "Herbarium").await;
    let robot = ann.create_api_user(&project, "Robot").await;
    (app, ann, project, robot)
}

fn user(robot: &ApiUser) -> Value {
    json!({"user": robot.gid})
}

async fn deactivation_invalidates_key_and_tokens_permanently(backend: Backend) {
    let (app, ann, project, robot) = start(backend).await;
    let other = ann.create_api_user(&project, "Other").await;
    let token = robot.auth().await.token();
    let renewed = app.http.init(&token).await.token();
    let others = other.auth().await.token();
    assert_eq!(app.http.project_init(&project, &token).await.status, 200);

    ann.api_keys(&project, "deactivate", &user(&robot))
        .await
        .success();
    robot.auth().await.assert_unknown_user();
    app.http.denied_soon(&token).await;
    app.http
        .project_init(&project, &token)
        .await
        .assert_unauthenticated();
    app.http.init(&renewed).await.assert_unauthenticated();
    // The owner can still read the key, and other users are not affected.
    assert_eq!(
        ann.api_keys(&project, "get", &user(&robot))
            .await
            .success()
            .0["apikey"],
        json!(robot.key)
    );
    assert_eq!(app.http.init(&others).await.status, 200);
    assert_eq!(ann.init().await.status, 200);

    ann.api_keys(&project, "activate", &user(&robot))
        .await
        .success();
    app.http.denied_soon(&token).await;
    app.http.init(&renewed).await.assert_unauthenticated();
    let new = robot.auth().await.token();
    assert_eq!(app.http.init(&new).await.status, 200);
    app.http.init(&token).await.assert_unauthenticated();
}

// The times in a token have whole seconds, but revocations must still be ordered within a second.
async fn repeated_deactivations_in_one_second_revoke_earlier_tokens(backend: Backend) {
    let (app, ann, project, robot) = start(backend).await;
    for _ in 1..=4 {
        let token = robot.auth().await.token();
        assert_eq!(app.http.init(&token).await.status, 200);
        ann.api_keys(&project, "deactivate", &user(&robot))
            .await
            .success();
        ann.api_keys(&project, "activate", &user(&robot))
            .await
            .success();
        app.http.denied_soon(&token).await;
    }
}

async fn rotated_key_replaces_the_old_one_immediately(backend: Backend) {
    let (app, ann, project, robot) = start(backend).await;
    let mut key = robot.key.clone();
    for _ in 1..=3 {
        let token = app.http.auth(&project, &key).await.token();
        let (rotated, _) = ann
            .api_keys(&project, "rotate", &user(&robot))
            .await
            .success();
        let new = rotated["apikey"].as_str().expect("a key").to_owned();
        app.http.auth(&project, &key).await.assert_unknown_user();
        let fresh = app.http.auth(&project, &new).await.token();
        assert_eq!(app.http.init(&fresh).await.status, 200);
        app.http.denied_soon(&token).await;
        assert_eq!(app.http.init(&fresh).await.status, 200);
        key = new;
    }
    // A deactivated API user can get another key, which works after activation.
    ann.api_keys(&project, "deactivate", &user(&robot))
        .await
        .success();
    let (rotated, _) = ann
        .api_keys(&project, "rotate", &user(&robot))
        .await
        .success();
    let new = rotated["apikey"].as_str().expect("a key").to_owned();
    app.http.auth(&project, &new).await.assert_unknown_user();
    ann.api_keys(&project, "activate", &user(&robot))
        .await
        .success();
    app.http.auth(&project, &key).await.assert_unknown_user();
    assert_eq!(app.http.auth(&project, &new).await.status, 200);
}

async fn concurrent_rotations_leave_one_key(backend: Backend) {
    let (app, ann, project, robot) = start(backend).await;
    let body = user(&robot);
    let rotated = join_all((0..8).map(|_| ann.api_keys(&project, "rotate", &body))).await;
    let mut keys: Vec<String> = rotated
        .iter()
        .map(|answer| {
            answer.success().0["apikey"]
                .as_str()
                .expect("a key")
                .to_owned()
        })
        .collect();
    let left = ann.api_keys(&project, "get", &body).await.success().0["apikey"].clone();
    keys.sort();
    keys.dedup();
    assert_eq!(keys.len(), 8);
    for key in keys {
        let expected = if left == json!(key) { 200 } else { 403 };
        assert_eq!(app.http.auth(&project, &key).await.status, expected);
    }
    robot.auth().await.assert_unknown_user();
}

async fn deleted_api_user_is_removed_everywhere(backend: Backend) {
    let (app, ann, project, robot) = start(backend).await;
    let token = robot.auth().await.token();
    assert!(ann.init().await.text().contains(&robot.gid));

    ann.api_keys(&project, "delete", &user(&robot))
        .await
        .success();

    robot.auth().await.assert_unknown_user();
    app.http.denied_soon(&token).await;
    for seen in [
        ann.init().await,
        app.http.project_init(&project, &ann.token).await,
    ] {
        assert_eq!(seen.status, 200);
        assert!(!seen.text().contains(&robot.gid), "{}", seen.text());
    }
    for call in [
        "get",
        "update",
        "deactivate",
        "activate",
        "rotate",
        "delete",
    ] {
        let body = json!({"user": robot.gid, "name": "x"});
        ann.api_keys(&project, call, &body)
            .await
            .assert_unprocessable("not_an_api_user");
    }
    let databases = &app.installation.databases;
    eventually("no key", EVENTUALLY_TIMEOUT, async || {
        texts(&databases.auth, "SELECT user_gid AS text FROM api_keys")
            .is_empty()
            .then_some(())
    })
    .await;
    let left = "SELECT user_gid AS text FROM memberships UNION ALL SELECT gid FROM users";
    assert_eq!(
        texts(&databases.directory, left),
        [ann.gid.clone(), ann.gid.clone()]
    );
    let again = ann.create_api_user(&project, "Robot").await;
    assert_ne!(again.gid, robot.gid);
    app.http.init(&token).await.assert_unauthenticated();
    robot.auth().await.assert_unknown_user();
}

async fn api_user_inits_and_is_visible_to_members(backend: Backend) {
    let (app, ann, project, robot) = start(backend).await;
    let ben = app.user("ben").await;
    app.installation.add_member(&project, "ben").await;
    let names = [
        (ann.gid.as_str(), "1-ann"),
        (&ben.gid, "2-ben"),
        (&robot.gid, "3-robot"),
        (&project, "1-herbarium"),
    ];
    let short = |gid: &str, username: Value, name: &str| json!({"gid": gid, "username": username, "name": name, "avatar": null, "status": "active"});
    let member = |gid: &str, role: &str| json!({"project_gid": "1-herbarium", "user_gid": gid, "status": "active", "roles": [role]});

    let init = app.http.init(&robot.auth().await.token()).await;
    let mut own = member("3-robot", "api");
    own["options"] = json!({"rate_limit_per_second": null});
    assert_json_eq(
        &redact(&init.json(), &names),
        &json!({
            "success": true,
            "result": {
                "user": "3-robot", "user_projects": {"1-herbarium": ["api"]}, "cc.version": "<version>",
                "cc.cursor": "<cursor>"
            },
            "data": {
                "cc.users": {
                    "1-ann": short("1-ann", json!("ann"), "Ann"),
                    "2-ben": short("2-ben", json!("ben"), "Ben"),
                    "3-robot": {
                        "gid": "3-robot", "username": null, "email": null, "name": "Robot", "avatar": null,
                        "status": "active", "options": {"language": "en", "timezone": "Europe/Amsterdam"}
                    }
                },
                "cc.projects": {
                    "1-herbarium": {
                        "gid": "1-herbarium", "name": "Herbarium", "icon": null, "owner": "1-ann", "status": "active"
                    }
                },
                "cc.projects_members": [member("1-ann", "owner"), member("2-ben", "member"), own],
                "cc.languages": "<languages>"
            }
        }),
    );
    init.token();

    let seen = redact(&ben.init().await.json(), &names);
    assert_json_eq(
        &seen["data"]["cc.users"]["3-robot"],
        &short("3-robot", json!(null), "Robot"),
    );
    assert_json_eq(
        &seen["data"]["cc.projects_members"][2],
        &member("3-robot", "api"),
    );
    let listed = app
        .installation
        .cli(&["member", "list", "--project", &project], "")
        .await
        .assert_success()
        .items();
    let robots: Vec<&Value> = listed
        .iter()
        .filter(|listed| listed["user_gid"] == json!(robot.gid))
        .collect();
    assert_eq!(robots.len(), 1, "{listed:?}");
    assert_eq!(
        (&robots[0]["roles"], &robots[0]["status"]),
        (&json!(["api"]), &json!("active"))
    );
}

async fn api_user_logs_in_only_with_its_key(backend: Backend) {
    let (app, _, project, robot) = start(backend).await;
    for username in [robot.gid.as_str(), "Robot", "robot", "", "null", &robot.key] {
        for password in [robot.key.as_str(), "", "null", PASSWORD] {
            app.http
                .login(username, password)
                .await
                .assert_unknown_user();
            app.http
                .project_login(&project, username, password)
                .await
                .assert_unknown_user();
        }
    }
    let set = app
        .installation
        .cli(
            &[
                "user",
                "set-password",
                "--gid",
                &robot.gid,
                "--password-stdin",
            ],
            PASSWORD,
        )
        .await;
    app.http
        .login(&robot.gid, PASSWORD)
        .await
        .assert_unknown_user();
    assert!(set.code.is_some(), "{set}");

    let first = robot.auth().await.token();
    let second = robot.auth().await.token();
    let logout = async |token: &str, body: Value| {
        app.http
            .post("/api/account/logout")
            .bearer(token)
            .json(&body)
            .send()
            .await
            .success();
    };
    logout(&first, json!({})).await;
    app.http.denied_soon(&first).await;
    assert_eq!(app.http.init(&second).await.status, 200);
    logout(&second, json!({"everywhere": true})).await;
    app.http.denied_soon(&second).await;
    assert_eq!(app.http.init(&robot.auth().await.token()).await.status, 200);
}

async fn api_user_stays_in_its_own_project(backend: Backend) {
    let (app, _, _, robot) = start(backend).await;
    let other = app.installation.create_project("ann", "Atlas").await;
    let cli = async |words: &[&str]| app.installation.cli(words, "").await;
    let added = cli(&[
        "member",
        "add",
        "--project",
        &other,
        "--user-gid",
        &robot.gid,
    ])
    .await
    .assert_failure(1);
    let created = cli(&[
        "project",
        "create",
        "--owner-gid",
        &robot.gid,
        "--name",
        "Mine",
    ])
    .await
    .assert_failure(1);
    for failed in [added, created] {
        assert!(failed.stderr.contains("API user"), "{failed}");
    }
    let token = robot.auth().await.token();
    app.http
        .project_init(&other, &token)
        .await
        .assert_forbidden();
    assert_eq!(
        cli(&["project", "list"])
            .await
            .assert_success()
            .items()
            .len(),
        2
    );
}

async fn command_line_creates_api_users_next_to_a_server(backend: Backend) {
    let installation = Installation::new(backend);
    installation.cli(&["migrate"], "").await.assert_success();
    installation.create_user("ann").await;
    let project = installation.create_project("ann", "Herbarium").await;
    let before = installation
        .cli(
            &["apikey", "create", "--project", &project, "--name", "Early"],
            "",
        )
        .await;
    let app = App::on_installation(installation).await;
    let with_server = app
        .installation
        .cli(
            &[
                "apikey",
                "create",
                "--project",
                &project,
                "--name",
                " Late ",
            ],
            "",
        )
        .await;
    let token = app.http.login("ann", PASSWORD).await.token();
    let path = |call: &str| format!("/api/p/{project}/apikeys/{call}");
    for (output, name) in [(before, "Early"), (with_server, "Late")] {
        let created = output.assert_success().json();
        let user = created["user"].as_str().expect("a gid");
        let key = created["apikey"].as_str().expect("a key");
        assert_eq!(created, json!({"user": user, "apikey": key}));
        let (result, data) = app.http.auth(&project, key).await.success();
        assert_eq!(
            (&result["user"], &data["cc.users"][user]["name"]),
            (&json!(user), &json!(name))
        );
        let read = app
            .http
            .post(&path("get"))
            .bearer(&token)
            .json(&json!({"user": user}))
            .send()
            .await;
        assert_eq!(read.success().0, json!({"apikey": key}));
    }
    let cli = async |project: &str, name: &str| {
        app.installation
            .cli(
                &["apikey", "create", "--project", project, "--name", name],
                "",
            )
            .await
    };
    cli(UNKNOWN_GID, "Robot").await.assert_failure(1);
    for (project, name) in [
        ("x", "Robot"),
        (&*project, " "),
        (&project, &"x".repeat(201)),
        (&project, "a\nb"),
    ] {
        assert_eq!(
            cli(project, name).await.assert_failure(2).stdout,
            "",
            "{project} {name}"
        );
    }
    let members = app
        .installation
        .cli(&["member", "list", "--project", &project], "")
        .await
        .assert_success()
        .items();
    assert_eq!(members.len(), 3);
}

async fn every_change_is_a_row_of_the_feed(backend: Backend) {
    let split = Services::start(backend).await;
    let ann = split.user("ann").await;
    let project = split.installation.create_project("ann", "Herbarium").await;
    let start = ann.init().await.success().0["cc.cursor"].as_i64();
    let robot = ann.create_api_user(&project, "Robot").await;
    for call in ["update", "deactivate", "activate", "delete"] {
        // Repeating a call changes nothing and appends no row.
        for _ in 0..2 {
            let answer = ann
                .api_keys(
                    &project,
                    call,
                    &json!({"user": robot.gid, "name": "New name"}),
                )
                .await;
            assert!(answer.status == 200 || call == "delete", "{answer:?}");
        }
    }
    let end = ann.init().await.success().0["cc.cursor"]
        .as_i64()
        .expect("a cursor");

    let mut directory = DirectoryClient::new(contract::channel(&split.directory).await);
    let watched = directory
        .watch_changes(contract::with_service_token(WatchChangesRequest {
            cursor: start,
        }))
        .await;
    let mut stream = watched.expect("a stream").into_inner();
    let mut changes: Vec<Change> = Vec::new();
    while changes.last().is_none_or(|last| last.cursor < end) {
        changes.extend(
            stream
                .next()
                .await
                .expect("a message")
                .expect("a message")
                .changes,
        );
    }
    let received: Vec<(Action, &str, &str, &str)> = changes
        .iter()
        .map(|change| {
            (
                change.action(),
                &*change.data_type,
                &*change.data_key,
                &*change.status,
            )
        })
        .collect();
    let user = robot.gid.as_str();
    let membership = format!("{project}/{}", robot.gid);
    let both = |action, status| {
        [
            (action, "cc.users", user, status),
            (action, "cc.projects_members", membership.as_str(), status),
        ]
    };
    let [deleted_user, deleted_member] = both(Action::Delete, "");
    let expected = [
        &both(Action::Insert, "active")[..],
        &[(Action::Update, "cc.users", user, "active")],
        &both(Action::Update, "inactive"),
        &both(Action::Update, "active"),
        &[deleted_member, deleted_user],
    ];
    assert_eq!(received, expected.concat());
}

async fn api_user_created_without_auth_gets_its_key_later(backend: Backend) {
    let mut split = Services::start(backend).await;
    let ann = split.user("ann").await;
    let project = split.installation.create_project("ann", "Herbarium").await;
    split.kill(Role::Auth);
    let (created, data) = ann
        .api_keys(&project, "create", &json!({"name": "Robot"}))
        .await
        .success();
    let body = json!({"user": created["user"]});
    assert_eq!(
        data["cc.users"][created["user"].as_str().expect("a gid")]["status"],
        json!("active")
    );
    ann.api_keys(&project, "get", &body)
        .await
        .assert_unavailable();
    ann.api_keys(&project, "rotate", &body)
        .await
        .assert_unavailable();
    assert!(
        texts(
            &split.installation.databases.auth,
            "SELECT user_gid AS text FROM api_keys"
        )
        .is_empty()
    );

    split.start_service(Role::Auth);
    split.ready(Role::Auth).await;
    wait_for_gateway(&split.http, &ann.token).await;
    let read = join_all((0..8).map(|_| ann.api_keys(&project, "get", &body))).await;
    let keys: Vec<Value> = read
        .iter()
        .map(|answer| answer.success().0["apikey"].clone())
        .collect();
    assert!(keys.iter().all(|key| *key == keys[0]), "{keys:?}");
    let (result, _) = split
        .http
        .auth(&project, keys[0].as_str().expect("a key"))
        .await
        .success();
    assert_eq!(result["user"], created["user"]);
}

/// Waits until the gateway is connected to the restarted auth.
async fn wait_for_gateway(http: &Http, token: &str) {
    eventually("an init", Duration::from_secs(5), async || {
        (http.init(token).await.status == 200).then_some(())
    })
    .await;
}

async fn auth_applies_api_user_changes_after_a_restart(backend: Backend) {
    let mut split = Services::start(backend).await;
    let ann = split.user("ann").await;
    let project = split.installation.create_project("ann", "Herbarium").await;
    let reactivated = ann.create_api_user(&project, "Asleep").await;
    let deleted = ann.create_api_user(&project, "Gone").await;
    let unchanged = ann.create_api_user(&project, "Well").await;
    let tokens = [
        reactivated.auth().await.token(),
        deleted.auth().await.token(),
        unchanged.auth().await.token(),
    ];
    split.kill(Role::Auth);
    ann.api_keys(&project, "deactivate", &user(&reactivated))
        .await
        .success();
    ann.api_keys(&project, "activate", &user(&reactivated))
        .await
        .success();
    ann.api_keys(&project, "delete", &user(&deleted))
        .await
        .success();

    split.start_service(Role::Auth);
    split.ready(Role::Auth).await;
    wait_for_gateway(&split.http, &tokens[2]).await;
    for token in &tokens[..2] {
        split.http.denied_soon(token).await;
    }
    deleted.auth().await.assert_unknown_user();
    assert_eq!(
        split
            .http
            .init(&reactivated.auth().await.token())
            .await
            .status,
        200
    );
    let keys = "SELECT user_gid AS text FROM api_keys ORDER BY user_gid";
    let mut expected = [reactivated.gid, unchanged.gid];
    expected.sort();
    assert_eq!(texts(&split.installation.databases.auth, keys), expected);
}

async fn keys_are_not_stored_in_clear(backend: Backend) {
    let app = App::with_settings(backend, &[("RUST_LOG", "debug")]).await;
    let ann = app.user("ann").await;
    let project = app.installation.create_project("ann", "Herbarium").await;
    let other = app.installation.create_project("ann", "Other").await;
    let robot = ann.create_api_user(&project, "Robot").await;
    let body = user(&robot);
    let mut secrets = vec![robot.key.clone(), robot.auth().await.token()];
    // Errors are logged, so the secrets are also sent in wrong parameters.
    app.http
        .auth(&other, &robot.key)
        .await
        .assert_unknown_user();
    app.http
        .auth("x", &robot.key)
        .await
        .assert_bad_parameter("Invalid parameter", "project");
    app.http
        .login(&robot.key, &robot.key)
        .await
        .assert_unknown_user();
    app.http.init(&robot.key).await.assert_unauthenticated();
    ann.api_keys(&project, "get", &json!({"user": robot.key}))
        .await
        .assert_bad_parameter("Invalid parameter", "user");
    let (rotated, _) = ann.api_keys(&project, "rotate", &body).await.success();
    secrets.push(rotated["apikey"].as_str().expect("a key").to_owned());
    secrets.push(app.http.auth(&project, &secrets[2]).await.token());
    robot.auth().await.assert_unknown_user();
    let created = app
        .installation
        .cli(
            &[
                "apikey",
                "create",
                "--project",
                &project,
                "--name",
                "By hand",
            ],
            "",
        )
        .await;
    let stdout_of_cli = created.stdout.clone();
    secrets.push(
        created.assert_success().json()["apikey"]
            .as_str()
            .expect("a key")
            .to_owned(),
    );
    execute(
        &app.installation.databases.directory,
        "UPDATE users SET name = 'The scan works' WHERE name = 'Robot'",
    );

    let mut sources = vec![(
        "the log".to_owned(),
        (app.process.stdout() + &app.process.stderr()).into_bytes(),
    )];
    assert!(sources[0].1.len() > 1000, "the debug log is too short");
    sources.push((
        "the audit trail".to_owned(),
        app.installation
            .cli(&["audit"], "")
            .await
            .assert_success()
            .stdout
            .into_bytes(),
    ));
    match backend {
        Backend::Sqlite => sources.extend(files(app.installation.path())),
        Backend::Postgres => sources.extend(tables(&app.installation)),
    }
    assert!(
        sources
            .iter()
            .any(|(_, bytes)| contains(bytes, "The scan works")),
        "the databases were not scanned"
    );
    for secret in &secrets {
        // Only the random part is searched: a key without its prefix, the signature of a token.
        let random_part = secret
            .trim_start_matches("dw_")
            .rsplit('.')
            .next()
            .expect("a part");
        for (source, bytes) in &sources {
            let is_allowed = bytes == stdout_of_cli.as_bytes();
            assert!(
                is_allowed || !contains(bytes, random_part),
                "{secret} is in {source}"
            );
        }
    }
}

fn contains(bytes: &[u8], text: &str) -> bool {
    bytes
        .windows(text.len())
        .any(|window| window == text.as_bytes())
}

/// Returns the files in the directory of an installation: databases and the output of processes.
fn files(directory: &std::path::Path) -> Vec<(String, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory).expect("a directory") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.push((
                path.display().to_string(),
                std::fs::read(&path).expect("a file"),
            ));
        }
    }
    found
}

/// Returns the rows of every table as text.
fn tables(installation: &Installation) -> Vec<(String, Vec<u8>)> {
    let mut found = Vec::new();
    for url in [
        &installation.databases.auth,
        &installation.databases.directory,
    ] {
        for table in texts(
            url,
            "SELECT tablename::text AS text FROM pg_tables WHERE schemaname = 'public'",
        ) {
            let rows = texts(url, &format!("SELECT t::text AS text FROM {table} t"));
            found.push((table, rows.concat().into_bytes()));
        }
    }
    found
}
