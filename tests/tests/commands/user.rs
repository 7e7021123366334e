//! Tests commands about one user: how the user is named, which fields can be changed, and error
//! messages.

use doorward_tests::{
    App, Backend, Installation, MailApp, Output, PASSWORD, User, installation::COMMAND,
    on_both_databases,
};
use serde_json::json;

on_both_databases![
    username_is_never_a_uuid,
    command_takes_a_username_or_a_gid_and_never_guesses,
    options_that_name_a_user_have_a_twin_for_the_gid,
    new_password_and_unblock_end_the_waits_of_the_throttle,
    operator_changes_username_address_and_name,
    update_that_is_rejected_changes_nothing,
    new_address_receives_its_open_invitations,
    rejected_deletion_names_the_projects,
    users_without_a_password_are_imported,
    password_from_stdin_has_no_byte_order_mark_and_no_line_end,
];

const UNKNOWN_GID: &str = "0f8fad5b-d9cb-469f-a165-70867728950e";
const WRONG: &str = "a wrong password";

async fn cli(installation: &Installation, words: &[&str]) -> Output {
    installation.cli(words, "").await
}

fn notations(gid: &str) -> [String; 6] {
    let plain = gid.replace('-', "");
    let urn = format!("urn:uuid:{gid}");
    [
        gid.to_owned(),
        gid.to_uppercase(),
        plain.clone(),
        plain.to_uppercase(),
        format!("{{{gid}}}"),
        urn,
    ]
}

async fn username_is_never_a_uuid(backend: Backend) {
    let mailed = MailApp::start(backend).await;
    let app = &mailed.app;
    let ann = app.user("ann").await;
    let ben = app.user("ben").await;
    for uuid in notations(&ben.gid).iter().chain(&notations(UNKNOWN_GID)) {
        app.http
            .post("/api/username")
            .json(&json!({"username": uuid}))
            .send()
            .await
            .assert_validation_error("username", "invalid");
        let signup = json!({"username": uuid, "password": PASSWORD, "email": "eva@example.org"});
        app.http
            .post("/api/signup_request")
            .json(&signup)
            .send()
            .await
            .assert_validation_error("username", "invalid");
        ann.call("/api/account/update", &json!({"username": uuid}))
            .await
            .assert_validation_error("username", "invalid");
        let created = app
            .installation
            .cli(
                &["user", "create", "--username", uuid, "--password-stdin"],
                PASSWORD,
            )
            .await;
        created.assert_failure(2);
        cli(
            &app.installation,
            &["user", "update", "ann", "--username", uuid],
        )
        .await
        .assert_failure(2);
    }
    let file = app.installation.path().join("users.jsonl");
    std::fs::write(&file, format!("{}\n", json!({"username": UNKNOWN_GID}))).expect("a file");
    let report = cli(
        &app.installation,
        &["user", "import", &file.display().to_string()],
    )
    .await
    .assert_failure(1)
    .json();
    assert_eq!(
        (
            &report["imported"],
            report["failed"].as_array().map(Vec::len)
        ),
        (&json!(0), Some(1)),
        "{report}"
    );
    let users = cli(&app.installation, &["user", "list"])
        .await
        .assert_success()
        .items();
    assert_eq!(users.len(), 2, "{users:?}");
}

async fn command_takes_a_username_or_a_gid_and_never_guesses(backend: Backend) {
    let app = App::start(backend).await;
    let ann = app.user("ann").await;
    let commands: [&[&str]; 7] = [
        &["show"],
        &["update", "--name", "Ann"],
        &["set-password", "--password-hash", "$2b$04$x"],
        &["unblock"],
        &["deactivate"],
        &["activate"],
        &["delete"],
    ];
    for command in commands {
        let run = async |named: &[&str]| {
            cli(&app.installation, &[&["user"], command, named].concat()).await
        };
        let refused = run(&[&ann.gid]).await.assert_failure(1);
        assert!(refused.stderr.contains("--gid"), "{refused}");
        run(&[]).await.assert_failure(2);
        run(&["ann", "--gid", &ann.gid]).await.assert_failure(2);
        run(&["--gid", "ann"]).await.assert_failure(2);
        run(&["--gid", UNKNOWN_GID]).await.assert_failure(1);
        run(&["nobody"]).await.assert_failure(1);
    }
    assert_eq!(ann.init().await.status, 200, "nothing has happened to her");
    for named in [&["ann"][..], &["--gid", &ann.gid]] {
        let shown = cli(&app.installation, &[&["user", "show"], named].concat())
            .await
            .assert_success()
            .json();
        assert_eq!(shown["gid"], json!(ann.gid));
    }
}

async fn options_that_name_a_user_have_a_twin_for_the_gid(backend: Backend) {
    let app = App::start(backend).await;
    let ann = app.user("ann").await;
    let ben = app.user("ben").await;
    let run = async |words: &[&str]| cli(&app.installation, words).await;
    let created = run(&[
        "project",
        "create",
        "--owner-gid",
        &ann.gid,
        "--name",
        "Herbarium",
    ])
    .await
    .assert_success()
    .json();
    let project = created["gid"].as_str().expect("a gid").to_owned();
    assert_eq!(created["owner"], json!(ann.gid));
    run(&[
        "member",
        "add",
        "--project",
        &project,
        "--user-gid",
        &ben.gid,
    ])
    .await
    .assert_success();
    run(&[
        "member",
        "remove",
        "--project",
        &project,
        "--user-gid",
        &ben.gid,
    ])
    .await
    .assert_success();
    run(&["member", "add", "--project", &project, "--user", "ben"])
        .await
        .assert_success();
    let given = run(&["project", "transfer", &project, "--to-gid", &ben.gid])
        .await
        .assert_success()
        .json();
    assert_eq!(given["owner"], json!(ben.gid));
    assert_eq!(
        run(&["audit", "--user-gid", &ben.gid])
            .await
            .assert_success()
            .items()
            .len(),
        2
    );

    let cases: [(&[&str], &str, &str); 4] = [
        (
            &["project", "create", "--name", "x"],
            "--owner",
            "--owner-gid",
        ),
        (
            &["member", "add", "--project", &project],
            "--user",
            "--user-gid",
        ),
        (
            &["member", "remove", "--project", &project],
            "--user",
            "--user-gid",
        ),
        (&["project", "transfer", &project], "--to", "--to-gid"),
    ];
    for (words, by_name, by_gid) in cases {
        run(words).await.assert_failure(2);
        run(&[words, &[by_name, "ann", by_gid, &ann.gid]].concat())
            .await
            .assert_failure(2);
        run(&[words, &[by_gid, "ann"]].concat())
            .await
            .assert_failure(2);
        run(&[words, &[by_name, &ann.gid]].concat())
            .await
            .assert_failure(1);
        run(&[words, &[by_gid, UNKNOWN_GID]].concat())
            .await
            .assert_failure(1);
    }
    run(&["audit", "--user", "ann", "--user-gid", &ann.gid])
        .await
        .assert_failure(2);
    run(&["audit", "--user", &ann.gid]).await.assert_failure(1);
    run(&["audit", "--user-gid", "ann"]).await.assert_failure(2);
}

async fn new_password_and_unblock_end_the_waits_of_the_throttle(backend: Backend) {
    let settings = [
        ("DOORWARD_LOGIN_FAILURES", "2"),
        ("DOORWARD_LOGIN_BACKOFF", "10m"),
        ("DOORWARD_TRUSTED_PROXIES", "127.0.0.0/8"),
    ];
    let app = App::with_settings(backend, &settings).await;
    // The login of ann makes this network a known network, which has a separate bucket in the
    // throttle.
    let ann = app.user("ann").await;
    app.user("ben").await;
    let stranger = "192.0.2.7";
    let login = async |username: &str, from: &str, password: &str| {
        app.http
            .login_call(username, password)
            .header("x-forwarded-for", from)
            .send()
            .await
            .status
    };
    for command in [
        &["set-password", "ann", "--password-stdin"][..],
        &["unblock", "ann"],
        &["unblock", "--gid", &ann.gid],
    ] {
        for from in [stranger, "127.0.0.1"] {
            for username in ["ann", "ben"] {
                while login(username, from, WRONG).await != 429 {}
            }
        }
        app.installation
            .cli(&[&["user"], command].concat(), PASSWORD)
            .await
            .assert_success();
        for from in [stranger, "127.0.0.1"] {
            assert_eq!(
                login("ann", from, PASSWORD).await,
                200,
                "{command:?} from {from}"
            );
            assert_eq!(
                login("ben", from, PASSWORD).await,
                429,
                "only the user of the command"
            );
        }
    }
    let unblocked = cli(&app.installation, &["audit", "--action", "user_unblocked"])
        .await
        .assert_success()
        .items();
    assert_eq!(unblocked.len(), 2);
}

async fn operator_changes_username_address_and_name(backend: Backend) {
    let app = App::start(backend).await;
    let ann = app.user("ann").await;
    let ben = app.user("ben").await;
    let project = app.installation.create_project("ben", "Herbarium").await;
    app.installation.add_member(&project, "ann").await;
    let (before, _) = ben.init().await.success();
    let words = [
        "user",
        "update",
        "ann",
        "--username",
        "annelies",
        "--email",
        "annelies@example.com",
        "--name",
        " Annelies ",
    ];
    let shown = cli(&app.installation, &words).await.assert_success().json();
    let fields = ["gid", "username", "email", "name"].map(|field| shown[field].clone());
    assert_eq!(
        fields,
        [
            ann.gid.as_str(),
            "annelies",
            "annelies@example.com",
            "Annelies"
        ]
        .map(|text| json!(text))
    );

    app.http.login("ann", PASSWORD).await.assert_unknown_user();
    let (_, data) = app.http.login("annelies", PASSWORD).await.success();
    assert_eq!(
        data["cc.users"][&ann.gid]["email"],
        json!("annelies@example.com")
    );
    let since = json!({"cc_cursor": before["cc.cursor"]});
    let rows = ben.call("/sync/get", &since).await.success().0["sync"].clone();
    assert_eq!(
        (&rows[0]["action"], &rows[0]["data_key"]),
        (&json!("UPDATE"), &json!(ann.gid)),
        "{rows}"
    );
    // One field at a time; the username can be equal to the new address.
    for (option, value) in [
        ("--name", "Ann"),
        ("--email", "ann@example.net"),
        ("--username", "ann@example.net"),
    ] {
        cli(
            &app.installation,
            &["user", "update", "--gid", &ann.gid, option, value],
        )
        .await
        .assert_success();
    }
    assert_eq!(
        app.http.login("ann@example.net", PASSWORD).await.status,
        200
    );
    assert_eq!(ann.init().await.status, 200, "her tokens stay valid");
    let audited = cli(
        &app.installation,
        &["audit", "--action", "user_updated", "--user-gid", &ann.gid],
    )
    .await;
    assert_eq!(audited.assert_success().items().len(), 4);
}

async fn update_that_is_rejected_changes_nothing(backend: Backend) {
    let mailed = MailApp::start(backend).await;
    let app = &mailed.app;
    let ann = app.user("ann").await;
    let _ = app.user("ben").await;
    let project = app.installation.create_project("ann", "Herbarium").await;
    let robot = ann.create_api_user(&project, "Robot").await;
    let invite = json!({"username_or_email": "eva@example.org"});
    let invited = ann
        .call(&format!("/api/p/{project}/members/invite"), &invite)
        .await
        .success()
        .0;
    let placeholder = invited["user"].as_str().expect("a gid").to_owned();
    let state = async || {
        cli(&app.installation, &["user", "list"])
            .await
            .assert_success()
            .stdout
    };
    let before = state().await;
    let cases: [(&[&str], i32); 10] = [
        (&["ann"], 2),
        (&["ann", "--username", "ben"], 1),
        (&["ann", "--username", "ben@example.org"], 1),
        (&["ann", "--username", ""], 2),
        (&["ann", "--email", "nowhere"], 2),
        (&["ann", "--name", "", "--email", "x@example.org"], 2),
        (&["nobody", "--name", "x"], 1),
        (&["--gid", &robot.gid, "--username", "robot"], 1),
        (&["--gid", &robot.gid, "--email", "robot@example.org"], 1),
        (&["--gid", &placeholder, "--username", "eva"], 1),
    ];
    for (words, code) in cases {
        cli(&app.installation, &[&["user", "update"], words].concat())
            .await
            .assert_failure(code);
        assert_eq!(state().await, before, "{words:?}");
    }
    cli(
        &app.installation,
        &["user", "update", "--gid", &robot.gid, "--name", "Export"],
    )
    .await
    .assert_success();
}

async fn new_address_receives_its_open_invitations(backend: Backend) {
    let mailed = MailApp::start(backend).await;
    let app = &mailed.app;
    let ann = app.user("ann").await;
    let ben = app.user("ben").await;
    let project = app.installation.create_project("ann", "Herbarium").await;
    let invite = json!({"username_or_email": "eva@example.org"});
    ann.call(&format!("/api/p/{project}/members/invite"), &invite)
        .await
        .success();
    cli(
        &app.installation,
        &["user", "update", "ben", "--email", "eva@example.org"],
    )
    .await
    .assert_success();
    let (_, data) = ben.init().await.success();
    assert_eq!(
        data["cc.projects_members"][0]["status"],
        json!("invited"),
        "{data}"
    );
    assert_eq!(
        ben.call("/api/account/accept_invite", &json!({"project": project}))
            .await
            .status,
        200
    );
}

async fn rejected_deletion_names_the_projects(backend: Backend) {
    let app = App::start(backend).await;
    let ann: User = app.user("ann").await;
    let mut projects = Vec::new();
    for name in ["Herbarium", "Atlas"] {
        projects.push(app.installation.create_project("ann", name).await);
    }
    cli(&app.installation, &["project", "delete", &projects[1]])
        .await
        .assert_success();
    let refused = cli(&app.installation, &["user", "delete", "ann"])
        .await
        .assert_failure(1);
    for part in [&projects[0], "Herbarium", &projects[1], "Atlas, deleted"] {
        assert!(refused.stderr.contains(part), "{part}: {refused}");
    }
    assert_eq!(ann.init().await.status, 200);
}

async fn users_without_a_password_are_imported(backend: Backend) {
    let app = App::start(backend).await;
    let file = app.installation.path().join("users.jsonl");
    let lines = [
        json!({"username": "eva"}),
        json!({"username": "finn", "password_hash": null, "name": "Finn"}),
    ];
    std::fs::write(&file, lines.map(|line| format!("{line}\n")).concat()).expect("a file");
    let report = cli(
        &app.installation,
        &["user", "import", &file.display().to_string()],
    )
    .await
    .assert_success()
    .json();
    assert_eq!(report, json!({"imported": 2, "failed": []}));
    for username in ["eva", "finn"] {
        app.http
            .login(username, PASSWORD)
            .await
            .assert_unknown_user();
        app.http.login(username, "").await.assert_unknown_user();
        app.installation
            .cli(
                &["user", "set-password", username, "--password-stdin"],
                PASSWORD,
            )
            .await
            .assert_success();
        assert_eq!(app.http.login(username, PASSWORD).await.status, 200);
    }
}

async fn password_from_stdin_has_no_byte_order_mark_and_no_line_end(backend: Backend) {
    let app = App::start(backend).await;
    app.user("ann").await;
    let inputs = [
        ("\u{feff}a ladder of 1 heron", "a ladder of 1 heron"),
        ("\u{feff}a ladder of 2 herons\r\n", "a ladder of 2 herons"),
        ("a ladder of 3 herons\n", "a ladder of 3 herons"),
        ("a ladder of 4 herons\r", "a ladder of 4 herons"),
        // Only one line end is removed; everything before it belongs to the password.
        ("a ladder of 5 herons \n\n", "a ladder of 5 herons \n"),
    ];
    for (input, password) in inputs {
        app.installation
            .cli(&["user", "set-password", "ann", "--password-stdin"], input)
            .await
            .assert_success();
        assert_eq!(
            app.http.login("ann", password).await.status,
            200,
            "{input:?}"
        );
    }
    app.installation
        .cli(
            &["user", "set-password", "ann", "--password-stdin"],
            "\u{feff}\r\n",
        )
        .await
        .assert_failure(1);
}

#[tokio::test(flavor = "multi_thread")]
async fn sighup_is_ignored_and_two_signals_at_once_are_one_request() {
    let mut app = App::start(Backend::Sqlite).await;
    app.process.signal("HUP");
    app.process.signal("HUP");
    assert_eq!(app.http.get("/api/ping").send().await.status, 200);
    app.process.signal("TERM");
    app.process.signal("INT");
    let output = app.process.wait_for_exit(COMMAND).await;
    assert_eq!(output.code, Some(0), "{output}");
}
