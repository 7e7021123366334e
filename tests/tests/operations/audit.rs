//! Tests `doorward audit`: which events are recorded with which actor, user and address, and that
//! no secret is recorded.

use std::time::Duration;

use doorward_tests::{
    App, Backend, PASSWORD, Response, eventually,
    installation::{COMMAND, MASTER_KEY},
    on_both_databases,
    snapshots::assert_json_eq,
    sql,
};
use serde_json::{Value, json};

on_both_databases![
    audit_records_are_complete,
    network_wait_is_audited_once,
    audit_trail_has_no_secrets,
    trail_is_filtered_by_user_action_and_time,
    follow_prints_each_record_once,
    request_id_from_outside_is_a_field_of_its_own,
];

const WRONG: &str = "a wrong password";
/// Trusts the addresses from which the tests connect as proxies.
const PROXY: (&str, &str) = ("DOORWARD_TRUSTED_PROXIES", "127.0.0.0/8");
const ADDRESS: &str = "203.0.113.7";
/// Maximum time until auth has applied a change in the directory.
const FOLLOWED: Duration = Duration::from_secs(5);

/// Sends calls with a fixed client address and a separate request id for each call.
struct Client<'a> {
    app: &'a App,
    calls: usize,
}

impl Client<'_> {
    async fn send(&mut self, path: &str, token: Option<&str>, body: &Value) -> Response {
        self.calls += 1;
        let call = self
            .app
            .http
            .post(path)
            .json(body)
            .header("x-forwarded-for", ADDRESS);
        let call = call.header("x-request-id", &format!("request-{}", self.calls));
        let call = match token {
            Some(token) => call.bearer(token),
            None => call,
        };
        call.send().await
    }

    async fn login(&mut self, username: &str, password: &str) -> Response {
        self.send(
            "/api/login",
            None,
            &json!({"username": username, "password": password}),
        )
        .await
    }

    async fn auth(&mut self, project: &str, api_key: &str) -> Response {
        self.send(
            &format!("/api/p/{project}/auth"),
            None,
            &json!({"api_key": api_key}),
        )
        .await
    }

    async fn api_keys(&mut self, project: &str, call: &str, token: &str, body: &Value) -> Value {
        self.send(
            &format!("/api/p/{project}/apikeys/{call}"),
            Some(token),
            body,
        )
        .await
        .success()
        .0
    }
}

async fn trail(app: &App, filter: &[&str]) -> Vec<Value> {
    app.installation
        .cli(&[&["audit"], filter].concat(), "")
        .await
        .assert_success()
        .items()
}

/// Waits until the trail has `count` records of an action.
async fn written(app: &App, action: &str, count: usize) {
    eventually(action, FOLLOWED, async || {
        (trail(app, &["--action", action]).await.len() == count).then_some(())
    })
    .await;
}

/// Returns a line for each record (action, user, by, project, address, request id of the client,
/// detail), with ids replaced by names. Also checks the members and the order of the records.
fn lines(records: &[Value], names: &[(&str, &str)]) -> Vec<String> {
    let mut last = String::new();
    let line = |record: &Value| {
        let members: Vec<&String> = record.as_object().expect("an object").keys().collect();
        assert_eq!(
            members,
            [
                "at",
                "action",
                "user",
                "by",
                "project",
                "address",
                "request_id",
                "client_request_id",
                "detail"
            ]
        );
        let at = record["at"].as_str().expect("a time");
        assert!(
            at.ends_with('Z') && at.len() == "2026-01-31T12:00:00.123456Z".len(),
            "{at}"
        );
        assert!(*at >= *last, "{at} after {last}");
        at.clone_into(&mut last);
        let text = |name: &str| record[name].as_str().unwrap_or("-").to_owned();
        if let Some(sent) = record["client_request_id"].as_str() {
            let own = record["request_id"].as_str().expect("an id");
            assert!(
                own != sent && own.parse::<doorward_domain::Gid>().is_ok(),
                "{record}"
            );
        }
        let parts = [
            "action",
            "user",
            "by",
            "project",
            "address",
            "client_request_id",
            "detail",
        ]
        .map(text);
        names
            .iter()
            .fold(parts.join(" "), |line, (id, name)| line.replace(id, name))
    };
    records.iter().map(line).collect()
}

async fn request_id_from_outside_is_a_field_of_its_own(backend: Backend) {
    let app = App::start(backend).await;
    app.installation.create_user("ann").await;
    let login = json!({"username": "ann", "password": PASSWORD});
    let call = || app.http.post("/api/login").json(&login);
    let first = call().send().await;
    let own = first.header("x-request-id").expect("an id").to_owned();
    // Other clients send the id of an earlier request, or invent one.
    let long = "x".repeat(128);
    let mut expected = vec![(true, json!(null))];
    for sent in [own.as_str(), "a", "/:+=._-", &long] {
        assert_eq!(
            call()
                .header("x-request-id", sent)
                .send()
                .await
                .header("x-request-id"),
            Some(sent)
        );
        expected.push((false, json!(sent)));
    }
    for malformed in ["a b", "\"", "\u{e9}", &format!("{long}x")] {
        call()
            .header("x-request-id", malformed)
            .header("x-client-request-id", "smuggled")
            .send()
            .await
            .token();
        expected.push((false, json!(null)));
    }
    let records = trail(&app, &["--action", "login"]).await;
    let facts = |record: &Value| {
        (
            record["request_id"] == json!(own),
            record["client_request_id"].clone(),
        )
    };
    assert_eq!(records.iter().map(facts).collect::<Vec<_>>(), expected);
    let mut ids: Vec<String> = records
        .iter()
        .map(|record| record["request_id"].to_string())
        .collect();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), records.len());
}

async fn audit_records_are_complete(backend: Backend) {
    let app = App::with_settings(
        backend,
        &[
            PROXY,
            ("DOORWARD_LOGIN_FAILURES", "1"),
            ("DOORWARD_LOGIN_BACKOFF", "10m"),
        ],
    )
    .await;
    let ann = app.installation.create_user("ann").await;
    let ben = app.installation.create_user("ben").await;
    let project = app.installation.create_project("ann", "Herbarium").await;
    let mut client = Client {
        app: &app,
        calls: 0,
    };

    let token = client.login("ann", PASSWORD).await.token();
    client.login("nobody", WRONG).await.assert_unknown_user();
    client.login("ben", WRONG).await.assert_unknown_user();
    for _ in 0..3 {
        client.login("ben", WRONG).await.assert_throttled();
    }
    let login = json!({"username": "ann", "password": PASSWORD});
    client
        .send(&format!("/api/p/{project}/login"), None, &login)
        .await
        .token();
    let created = client
        .api_keys(&project, "create", &token, &json!({"name": "Export"}))
        .await;
    let user = json!({"user": created["user"]});
    let old = client.api_keys(&project, "get", &token, &user).await["apikey"].clone();
    client
        .auth(&project, old.as_str().expect("a key"))
        .await
        .token();
    let new = client.api_keys(&project, "rotate", &token, &user).await["apikey"].clone();
    client
        .auth(&project, old.as_str().expect("a key"))
        .await
        .assert_unknown_user();
    client
        .auth(&project, new.as_str().expect("a key"))
        .await
        .token();
    client
        .send("/api/account/logout", Some(&token), &json!({}))
        .await
        .success();
    let token = client.login("ann", PASSWORD).await.token();
    client.api_keys(&project, "deactivate", &token, &user).await;
    written(&app, "tokens_revoked", 1).await;
    client.api_keys(&project, "delete", &token, &user).await;
    written(&app, "apikey_deleted", 1).await;
    client
        .send(
            "/api/account/logout",
            Some(&token),
            &json!({"everywhere": true}),
        )
        .await
        .success();
    app.installation
        .cli(
            &["user", "set-password", "ann", "--password-stdin"],
            PASSWORD,
        )
        .await
        .assert_success();
    let keys = app
        .installation
        .cli(&["keys", "rotate"], "")
        .await
        .assert_success()
        .items();
    let previous = keys
        .iter()
        .find(|key| key["state"] == json!("previous"))
        .expect("a key")["kid"]
        .clone();
    let previous = previous.as_str().expect("a kid");
    app.installation
        .cli(&["keys", "retire", previous], "")
        .await
        .assert_success();
    app.installation.change_user("deactivate", "ben").await;
    written(&app, "tokens_revoked", 3).await;

    let key = created["user"].as_str().expect("a gid");
    let names = [
        (ann.as_str(), "ann"),
        (&ben, "ben"),
        (key, "key"),
        (&project, "project"),
        (previous, "kid"),
    ];
    let expected = [
        "user_created ann command line - - - -",
        "user_created ben command line - - - -",
        "login ann ann - 203.0.113.7 request-1 -",
        "login_failed - - - 203.0.113.7 request-2 -",
        "login_failed ben - - 203.0.113.7 request-3 -",
        // The other rejections within the same wait are not recorded.
        "login_throttled ben - - 203.0.113.7 request-4 -",
        "login ann ann project 203.0.113.7 request-7 -",
        "apikey_created key ann project 203.0.113.7 request-8 -",
        "apikey_read key ann project 203.0.113.7 request-9 -",
        "api_login key key project 203.0.113.7 request-10 -",
        "apikey_rotated key ann project 203.0.113.7 request-11 -",
        "api_login_failed - - project 203.0.113.7 request-12 -",
        "api_login key key project 203.0.113.7 request-13 -",
        "logout ann ann - 203.0.113.7 request-14 -",
        "login ann ann - 203.0.113.7 request-15 -",
        "tokens_revoked key - - - - user inactive",
        "apikey_deactivated key ann project 203.0.113.7 request-16 -",
        "tokens_revoked key - - - - user deleted",
        "apikey_deleted key ann project 203.0.113.7 request-17 -",
        "logout_everywhere ann ann - 203.0.113.7 request-18 -",
        "password_changed ann command line - - - -",
        "signing_key_rotated - command line - - - -",
        "signing_key_retired - command line - - - kid",
        "tokens_revoked ben - - - - user inactive",
        "user_deactivated ben command line - - - -",
    ];
    assert_json_eq(
        &json!(lines(&trail(&app, &[]).await, &names)),
        &json!(expected),
    );
}

async fn network_wait_is_audited_once(backend: Backend) {
    let app = App::with_settings(
        backend,
        &[
            PROXY,
            ("DOORWARD_LOGIN_FAILURES", "1"),
            ("DOORWARD_LOGIN_BACKOFF", "10m"),
        ],
    )
    .await;
    app.installation.create_user("ann").await;
    let project = app.installation.create_project("ann", "Herbarium").await;
    let mut client = Client {
        app: &app,
        calls: 0,
    };
    for _ in 0..10 {
        client.auth(&project, "dw_1").await.assert_unknown_user();
    }
    for _ in 0..3 {
        client.auth(&project, "dw_1").await.assert_throttled();
        client.login("ann", PASSWORD).await.assert_throttled();
    }
    let mut expected: Vec<String> = (1..=10)
        .map(|call| format!("api_login_failed - - project 203.0.113.7 request-{call} -"))
        .collect();
    expected.push("api_login_throttled - - - 203.0.113.7 request-11 -".to_owned());
    let recorded = lines(&trail(&app, &[]).await[1..], &[(&project, "project")]);
    assert_json_eq(&json!(recorded), &json!(expected));
}

async fn audit_trail_has_no_secrets(backend: Backend) {
    let app = App::with_settings(
        backend,
        &[
            ("DOORWARD_LOGIN_FAILURES", "1"),
            ("DOORWARD_LOGIN_BACKOFF", "10m"),
        ],
    )
    .await;
    let ann = app.user("ann").await;
    let project = app.installation.create_project("ann", "Herbarium").await;
    // A password that was typed into the field of the username.
    let typed = "hunter2-typed-as-a-name";
    let new_password = "a much newer password 12";
    let mut secrets: Vec<String> = [PASSWORD, WRONG, typed, new_password, MASTER_KEY]
        .map(str::to_owned)
        .into();
    let mut client = Client {
        app: &app,
        calls: 0,
    };
    for _ in 0..2 {
        client.login(typed, WRONG).await;
        client.login(&ann.username, WRONG).await;
        client
            .auth(&project, "dw_no-such-key-as-this")
            .await
            .assert_unknown_user();
    }
    secrets.push("no-such-key".to_owned());
    let created = client
        .api_keys(&project, "create", &ann.token, &json!({"name": "Export"}))
        .await;
    let user = json!({"user": created["user"]});
    for call in ["get", "rotate"] {
        let answer = client.api_keys(&project, call, &ann.token, &user).await;
        secrets.push(answer["apikey"].as_str().expect("a key").to_owned());
    }
    let api_token = client
        .auth(&project, secrets.last().expect("a key"))
        .await
        .token();
    client
        .send(
            "/api/account/logout",
            Some(&ann.token),
            &json!({"everywhere": true}),
        )
        .await
        .success();
    app.installation
        .cli(
            &["user", "set-password", "ann", "--password-stdin"],
            new_password,
        )
        .await
        .assert_success();
    for token in [&ann.token, &api_token] {
        secrets.extend([
            token.clone(),
            token.rsplit('.').next().expect("a signature").to_owned(),
        ]);
    }
    secrets.push("$argon2".to_owned());

    let output = app.installation.cli(&["audit"], "").await.assert_success();

    assert!(output.items().len() >= 12, "{output}");
    let buckets = sql::texts(
        &app.installation.databases.auth,
        "SELECT bucket AS text FROM throttle",
    )
    .join("\n");
    assert!(!buckets.is_empty());
    for secret in &secrets {
        assert!(
            !output.to_string().contains(secret),
            "{secret} is in\n{output}"
        );
        assert!(
            !app.process.stderr().contains(secret),
            "{secret} is in the log"
        );
        assert!(!buckets.contains(secret), "{secret} is in\n{buckets}");
    }
}

async fn trail_is_filtered_by_user_action_and_time(backend: Backend) {
    let app = App::start(backend).await;
    let ann = app.user("ann").await;
    let ben = app.user("ben").await;
    let project = app.installation.create_project("ben", "Herbarium").await;
    for username in ["ann", "nobody", "ben"] {
        app.http.login(username, WRONG).await.assert_unknown_user();
    }
    let words = [
        "apikey",
        "create",
        "--project",
        &project,
        "--name",
        "Export",
    ];
    let created = app
        .installation
        .cli(&words, "")
        .await
        .assert_success()
        .json();
    let key = created["user"].as_str().expect("a gid");
    let actions = async |filter: &[&str]| {
        let records = trail(&app, filter).await;
        let action = |record: &Value| record["action"].as_str().expect("a word").to_owned();
        records.iter().map(action).collect::<Vec<_>>()
    };
    let all = [
        "user_created",
        "login",
        "user_created",
        "login",
        "login_failed",
        "login_failed",
        "login_failed",
        "apikey_created",
    ];
    assert_eq!(actions(&[]).await, all);
    for (option, name) in [("--user", "ann"), ("--user-gid", &ann.gid)] {
        assert_eq!(
            actions(&[option, name]).await,
            ["user_created", "login", "login_failed"],
            "{name}"
        );
    }
    assert_eq!(actions(&["--user-gid", key]).await, ["apikey_created"]);
    assert_eq!(actions(&["--action", "login_failed"]).await.len(), 3);
    assert_eq!(actions(&["--action", "logout"]).await, [""; 0]);
    let both = trail(&app, &["--user", "ben", "--action", "login"]).await;
    assert_eq!(
        both.iter()
            .map(|record| &record["user"])
            .collect::<Vec<_>>(),
        [&json!(ben.gid)]
    );

    let fifth = trail(&app, &[]).await[4]["at"]
        .as_str()
        .expect("a time")
        .to_owned();
    for (since, from) in [
        ("1h", 0),
        (fifth.as_str(), 4),
        ("2099-01-31", 8),
        ("2020-01-31T12:00:00Z", 0),
    ] {
        assert_eq!(actions(&["--since", since]).await, all[from..], "{since}");
    }
    assert_eq!(
        actions(&["--since", &fifth, "--user", "ann"]).await,
        ["login_failed"]
    );

    // A deleted user no longer has the username, which another user can take, so it finds no
    // records.
    app.installation.change_user("delete", "ann").await;
    written(&app, "tokens_revoked", 1).await;
    let of_ann = [
        "user_created",
        "login",
        "login_failed",
        "tokens_revoked",
        "user_deleted",
    ];
    assert_eq!(actions(&["--user-gid", &ann.gid]).await, of_ann);
    for stranger in ["ann", "nobody"] {
        app.installation
            .cli(&["audit", "--user", stranger], "")
            .await
            .assert_failure(1);
    }
    for wrong in [
        ["--action", "logins"],
        ["--action", ""],
        ["--since", "yesterday"],
    ] {
        app.installation
            .cli(&[&["audit"], &wrong[..]].concat(), "")
            .await
            .assert_failure(2);
    }
}

async fn follow_prints_each_record_once(backend: Backend) {
    let app = App::start(backend).await;
    let ann = app.user("ann").await;
    let mut follower = app
        .installation
        .spawn(&["audit", "--user", "ann", "--follow"], &[]);
    let mut expected = vec!["user_created", "login"];
    for turn in 0..4 {
        eventually("all records", COMMAND, async || {
            let printed = follower.stdout();
            assert!(printed.lines().count() <= expected.len(), "{printed}");
            (printed.ends_with('\n') && printed.lines().count() == expected.len()).then_some(())
        })
        .await;
        let status = app
            .http
            .login("ann", if turn % 2 == 0 { WRONG } else { PASSWORD })
            .await
            .status;
        expected.push(if status == 200 {
            "login"
        } else {
            "login_failed"
        });
        app.http.login("nobody", WRONG).await.assert_unknown_user();
    }
    eventually("the last record", COMMAND, async || {
        (follower.stdout().lines().count() == expected.len()).then_some(())
    })
    .await;
    assert!(follower.is_running());
    for (line, action) in follower.stdout().lines().zip(&expected) {
        let record: Value = serde_json::from_str(line).expect("JSON");
        assert_eq!(
            (&record["action"], &record["user"]),
            (&json!(action), &json!(ann.gid))
        );
    }
}
