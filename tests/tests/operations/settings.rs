//! Tests settings and command-line usage: all mistakes are reported at once, and secrets are never
//! printed.

use doorward_tests::{
    App, Backend, Installation, PASSWORD,
    installation::{COMMAND, MASTER_KEY},
    ports,
    sql::execute,
};

fn installation() -> Installation {
    Installation::new(Backend::Sqlite)
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_settings_are_all_named_in_one_message() {
    let wrong = [
        ("DOORWARD_LISTEN", "nowhere"),
        ("DOORWARD_TOKEN_LIFETIME", "never"),
        ("DOORWARD_DATABASE_POOL_SIZE", "-1"),
        ("DOORWARD_ARGON2_MEMORY_KIB", "lots"),
        ("DOORWARD_MASTER_KEY", "c2hvcnQ="),
        ("DOORWARD_AUTH_DATABASE_URL", "mysql://x"),
        ("DOORWARD_TRUSTED_PROXIES", "10.0.0.0/99"),
        ("DOORWARD_LOG_FORMAT", "xml"),
    ];
    let output = installation().with(&wrong).cli(&["serve"], "").await;
    assert!([Some(1), Some(2)].contains(&output.code), "{output}");
    for (name, value) in wrong {
        assert!(
            output.stderr.contains(name),
            "{name} is not named: {output}"
        );
        assert!(
            name != "DOORWARD_MASTER_KEY" || !output.stderr.contains(value),
            "{output}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn unknown_variable_is_a_warning_and_an_unknown_key_of_the_file_an_error() {
    let installation = installation();
    let app = App::on_installation(
        installation.with(&[("DOORWARD_NO_SUCH_SETTING", "x"), ("RUST_LOG", "warn")]),
    )
    .await;
    let log = app.process.stderr();
    assert!(log.contains("DOORWARD_NO_SUCH_SETTING"), "{log}");

    let file = app.installation.path().join("doorward.toml");
    std::fs::write(&file, "no_such_setting = 1\nanother = \"x\"\n").expect("a file");
    let output = app
        .installation
        .cli(
            &[
                "serve",
                "--print-config",
                "--config",
                &file.display().to_string(),
            ],
            "",
        )
        .await;
    assert!([Some(1), Some(2)].contains(&output.code), "{output}");
    assert!(
        output.stderr.contains("no_such_setting") && output.stderr.contains("another"),
        "{output}"
    );
    let missing = app
        .installation
        .cli(
            &["serve", "--print-config", "--config", "/nowhere.toml"],
            "",
        )
        .await;
    assert!(
        missing.code != Some(0) && missing.stderr.contains("/nowhere.toml"),
        "{missing}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn print_config_shows_the_settings_without_their_secrets() {
    let installation = installation().with(&[
        ("DOORWARD_LISTEN", "127.0.0.1:18099"),
        (
            "DOORWARD_AUTH_DATABASE_URL",
            "postgres://doorward:s3cret-one@db.example.org:5432/auth",
        ),
        (
            "DOORWARD_DIRECTORY_DATABASE_URL",
            "postgres://doorward@db.example.org/directory?password=s3cret-two",
        ),
        (
            "DOORWARD_SERVICE_TOKEN",
            "s3cret-three-s3cret-three-s3cret-three",
        ),
        (
            "DOORWARD_SMTP_URL",
            "smtps://mail:s3cret-four@mail.example.org",
        ),
        ("DOORWARD_MAIL_FROM", "doorward@example.org"),
    ]);
    let output = installation
        .cli(&["serve", "--print-config"], "")
        .await
        .assert_success();
    assert!(
        output.stdout.contains("127.0.0.1:18099") && output.stdout.contains("db.example.org"),
        "{output}"
    );
    let all = format!("{}{}", output.stdout, output.stderr);
    assert!(
        !all.contains("s3cret") && !all.contains(MASTER_KEY),
        "{output}"
    );
    assert!(
        !installation.path().join("data").exists(),
        "the command did more than print"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn secrets_are_read_from_files() {
    let installation = installation();
    let file = installation.path().join("key");
    std::fs::write(&file, format!("{MASTER_KEY}\n")).expect("a file");
    let file = file.display().to_string();
    let app = App::on_installation(
        installation
            .without(&["DOORWARD_MASTER_KEY"])
            .with(&[("DOORWARD_MASTER_KEY_FILE", &file)]),
    )
    .await;
    app.user("ann").await;
    // The same key from another setting must unseal the existing secrets.
    let mut app = app;
    app.installation = app
        .installation
        .without(&["DOORWARD_MASTER_KEY_FILE"])
        .with(&[("DOORWARD_MASTER_KEY", MASTER_KEY)]);
    app.restart().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sqlite_master_key_file_is_generated_private() {
    let mut app = App::on_installation(installation().without(&["DOORWARD_MASTER_KEY"])).await;
    let ann = app.user("ann").await;
    app.restart().await;
    assert_eq!(ann.init().await.status, 200);
    let data = app.installation.path().join("data");
    let listed = std::process::Command::new("find")
        .arg(&data)
        .args(["-type", "f", "-perm", "/077"])
        .output()
        .expect("find");
    let open: Vec<String> = String::from_utf8_lossy(&listed.stdout)
        .lines()
        .map(str::to_owned)
        .collect();
    assert!(open.iter().all(|file| !file.contains("key")), "{open:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn master_key_that_is_missing_is_not_replaced_while_it_is_needed() {
    let mut app = App::on_installation(installation().without(&["DOORWARD_MASTER_KEY"])).await;
    let ann = app.user("ann").await;
    let file = app.installation.path().join("data").join("master.key");
    let key = std::fs::read_to_string(&file).expect("a key");
    app.process.kill();
    std::fs::remove_file(&file).expect("the key");
    for command in ["serve", "demo"] {
        let output = app.installation.cli(&[command], "").await.assert_failure(1);
        assert!(
            output.stderr.contains("master.key is missing") && !output.stderr.contains("panicked"),
            "{output}"
        );
        assert!(!file.exists(), "{command} generated another key");
    }
    // Without signing keys, the sealed secrets still need the old master key.
    execute(&app.installation.databases.auth, "DELETE FROM signing_keys");
    app.installation.cli(&["serve"], "").await.assert_failure(1);
    assert!(!file.exists());

    std::fs::write(&file, key).expect("the key again");
    app.restart().await;
    app.http.login(&ann.username, PASSWORD).await.success();
    app.process.kill();
    std::fs::remove_file(&file).expect("the key");
    execute(
        &app.installation.databases.auth,
        "DELETE FROM signing_keys; DELETE FROM secrets",
    );
    app.restart().await;
    assert!(
        file.exists(),
        "a new key must be generated, because nothing is sealed with the old one"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn over_postgresql_a_master_key_must_be_given() {
    let output = Installation::new(Backend::Postgres)
        .without(&["DOORWARD_MASTER_KEY"])
        .cli(&["serve"], "")
        .await;
    assert!(
        output.code != Some(0) && output.stderr.contains("DOORWARD_MASTER_KEY"),
        "{output}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn changed_master_key_is_rejected_with_reason() {
    let mut app = App::start(Backend::Sqlite).await;
    app.user("ann").await;
    app.process.kill();
    let other = (
        "DOORWARD_MASTER_KEY",
        "c29tZSBvdGhlciBrZXksIG5vdCB0aGUgc2FtZSBvbmU=",
    );
    let output = app
        .installation
        .spawn(&["serve"], &[other])
        .wait_for_exit(COMMAND)
        .await
        .assert_failure(1);
    assert!(
        output.stderr.to_lowercase().contains("master key")
            || output.stderr.contains("DOORWARD_MASTER_KEY"),
        "{output}"
    );
    assert!(!output.stderr.contains("panicked"), "{output}");
    // No sealed value was replaced: the right key still unseals all of them.
    app.restart().await;
    assert_eq!(
        app.http.login("ann", doorward_tests::PASSWORD).await.status,
        200
    );
}

/// The start fails while connections to PostgreSQL are still being opened. The test repeats it 40
/// times, because the failure that it guards against occurred in one of ten starts.
#[tokio::test(flavor = "multi_thread")]
async fn failed_start_exits_gracefully() {
    let mut app = App::start(Backend::Postgres).await;
    app.process.kill();
    let other = (
        "DOORWARD_MASTER_KEY",
        "c29tZSBvdGhlciBrZXksIG5vdCB0aGUgc2FtZSBvbmU=",
    );
    for _ in 0..40 {
        app.installation
            .spawn(&["serve"], &[other])
            .wait_for_exit(COMMAND)
            .await
            .assert_failure(1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn data_directory_that_cannot_be_written_is_rejected_and_named() {
    let installation = installation()
        .without(&[
            "DOORWARD_AUTH_DATABASE_URL",
            "DOORWARD_DIRECTORY_DATABASE_URL",
            "DOORWARD_MASTER_KEY",
        ])
        .with(&[("DOORWARD_DATA_DIR", "/dev/null/x")]);
    for words in [
        &["serve"] as &[&str],
        &["demo"],
        &["migrate"],
        &["user", "list"],
    ] {
        let output = installation.cli(words, "").await.assert_failure(1);
        assert!(
            output.stderr.contains("/dev/null/x") && !output.stderr.contains("panicked"),
            "{words:?}: {output}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn port_in_use_is_reported() {
    let app = App::start(Backend::Sqlite).await;
    let other = Installation::new(Backend::Sqlite).with(&[("DOORWARD_LISTEN", app.http.address())]);
    let output = other.cli(&["serve"], "").await.assert_failure(1);
    assert!(output.stderr.contains(app.http.address()), "{output}");
}

#[tokio::test(flavor = "multi_thread")]
async fn grpc_listener_beyond_loopback_requires_a_service_token() {
    let address = format!("0.0.0.0:{}", ports::find_free_port());
    let installation = installation().with(&[("DOORWARD_DIRECTORY_LISTEN", &address)]);
    installation.cli(&["migrate"], "").await.assert_success();
    let output = installation.cli(&["serve", "directory"], "").await;
    assert!(
        output.code != Some(0) && output.stderr.contains("DOORWARD_SERVICE_TOKEN"),
        "{output}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_usage_is_code_2() {
    let installation = installation();
    let cases: [&[&str]; 12] = [
        &["no-such-command"],
        &["serve", "everything"],
        &["serve", "--no-such-flag"],
        &["user"],
        &["user", "create"],
        &["user", "create", "--username", "ann"],
        &[
            "user",
            "create",
            "--username",
            "ann",
            "--password-stdin",
            "--password-hash",
            "x",
        ],
        &["user", "create", "--username", "ann", "--password", "x"],
        &["user", "show"],
        &["user", "import"],
        &["project", "create", "--name", "x"],
        &["keys", "retire"],
    ];
    for words in cases {
        let output = installation.cli(words, "").await.assert_failure(2);
        assert_eq!(output.stdout, "", "{words:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_command_explains_itself_with_an_example() {
    let installation = installation();
    let version = installation.cli(&["--version"], "").await.assert_success();
    assert!(version.stdout.starts_with("doorward 2"), "{version}");
    let commands: [&[&str]; 21] = [
        &["demo"],
        &["serve"],
        &["migrate"],
        &["user", "create"],
        &["user", "list"],
        &["user", "show"],
        &["user", "set-password"],
        &["user", "update"],
        &["user", "unblock"],
        &["user", "deactivate"],
        &["user", "activate"],
        &["user", "delete"],
        &["user", "import"],
        &["project", "create"],
        &["project", "list"],
        &["project", "show"],
        &["member", "add"],
        &["member", "list"],
        &["keys", "list"],
        &["keys", "rotate"],
        &["healthcheck"],
    ];
    for words in commands {
        let output = installation
            .cli(&[words, &["--help"]].concat(), "")
            .await
            .assert_success();
        let help = output.stdout.to_lowercase();
        let example = help
            .split("example")
            .nth(1)
            .unwrap_or_else(|| panic!("{words:?} has no example: {output}"));
        assert!(example.contains("doorward"), "{words:?}: {output}");
    }
}
