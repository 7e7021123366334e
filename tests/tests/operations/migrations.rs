//! Tests `doorward migrate`, and that `serve` rejects databases of another release or service.

use doorward_domain::Gid;
use doorward_storage::DatabaseUrl;
use doorward_tests::{
    App, Backend, Installation, MailApp, PASSWORD, Services,
    backend::undo_plain_names,
    installation::{COMMAND, gid},
    on_both_databases, ports,
    sql::{execute, texts},
};
use futures_util::future::join_all;
use serde_json::json;

on_both_databases![
    migrations_may_run_several_times_at_once,
    service_rejects_a_database_that_is_not_migrated,
    newer_database_is_rejected,
    users_may_be_created_while_the_tables_are_being_made,
    swapped_databases_are_rejected_unchanged,
    migrated_project_gets_default_options,
    codes_survive_the_migration_to_several_requests,
    renamed_tables_keep_their_rows,
];

async fn migrations_may_run_several_times_at_once(backend: Backend) {
    let installation = Installation::new(backend);
    let mut running: Vec<_> = (0..4)
        .map(|_| installation.spawn(&["migrate"], &[]))
        .collect();
    for process in &mut running {
        process.wait_for_exit(COMMAND).await.assert_success();
    }
    installation.cli(&["migrate"], "").await.assert_success();
    installation.create_user("ann").await;
}

async fn service_rejects_a_database_that_is_not_migrated(backend: Backend) {
    let installation = Installation::new(backend).with(&[
        ("DOORWARD_AUTH_LISTEN", &ports::free_address()),
        ("DOORWARD_DIRECTORY_LISTEN", &ports::free_address()),
    ]);
    for service in ["auth", "directory"] {
        let output = installation
            .cli(&["serve", service], "")
            .await
            .assert_failure(1);
        assert!(
            output.stderr.contains("migrate") && !output.stderr.contains("panicked"),
            "{output}"
        );
    }
    // With `--migrate` the service migrates the database itself.
    let mut process = installation.spawn(&["serve", "directory", "--migrate"], &[]);
    let ops = doorward_tests::Http::new(&installation.variable("DOORWARD_OPS_LISTEN"));
    doorward_tests::app::wait_until_ready(&mut process, &ops).await;
}

async fn newer_database_is_rejected(backend: Backend) {
    let split = Services::prepare(backend).await;
    let databases = &split.installation.databases;
    for (service, url) in [
        ("auth", &databases.auth),
        ("directory", &databases.directory),
    ] {
        execute(
            url,
            "INSERT INTO __diesel_schema_migrations (version) VALUES ('9999')",
        );
        for words in [
            &["serve", service] as &[&str],
            &["serve", service, "--migrate"],
            &["migrate"],
            &["serve", "all"],
        ] {
            let output = split.installation.cli(words, "").await.assert_failure(1);
            assert!(
                output.stderr.contains("newer") && !output.stderr.contains("panicked"),
                "{words:?}: {output}"
            );
        }
        execute(
            url,
            "DELETE FROM __diesel_schema_migrations WHERE version = '9999'",
        );
    }
}

async fn users_may_be_created_while_the_tables_are_being_made(backend: Backend) {
    const NAMES: [&str; 4] = ["ann", "ben", "cas", "dee"];
    let installation = Installation::new(backend);
    let migrate = async || installation.cli(&["migrate"], "").await;
    let create = async |username: &'static str| {
        let words = ["user", "create", "--username", username, "--password-stdin"];
        installation.cli(&words, PASSWORD).await
    };
    let twice = NAMES.iter().chain(&NAMES);
    let (migrated, created) = tokio::join!(
        join_all((0..3).map(|_| migrate())),
        join_all(twice.map(|name| create(name)))
    );
    migrated
        .into_iter()
        .for_each(|output| drop(output.assert_success()));
    let (accepted, refused): (Vec<_>, Vec<_>) = created
        .into_iter()
        .partition(|output| output.code == Some(0));
    for output in refused {
        let output = output.assert_failure(1);
        assert!(
            output.stderr.contains("taken") && !output.stderr.contains("panicked"),
            "{output}"
        );
    }

    // Each username was assigned once, and each credential belongs to one of these users.
    let mut gids: Vec<String> = accepted.iter().map(gid).collect();
    gids.sort_unstable();
    let users = installation
        .cli(&["user", "list"], "")
        .await
        .assert_success()
        .items();
    let listed: Vec<&str> = users
        .iter()
        .filter_map(|user| user["gid"].as_str())
        .collect();
    assert_eq!(listed, gids);
    let credentials = "SELECT user_gid AS text FROM credentials ORDER BY user_gid";
    assert_eq!(texts(&installation.databases.auth, credentials), gids);
    let app = App::on_installation(installation).await;
    for name in NAMES {
        assert_eq!(app.http.login(name, PASSWORD).await.status, 200, "{name}");
    }
}

async fn swapped_databases_are_rejected_unchanged(backend: Backend) {
    const AUTH: &str = "DOORWARD_AUTH_DATABASE_URL";
    const DIRECTORY: &str = "DOORWARD_DIRECTORY_DATABASE_URL";
    let installation = Services::prepare(backend).await.installation;
    installation.create_user("ann").await;
    let auth = installation.variable(AUTH);
    let directory = installation.variable(DIRECTORY);
    let swapped = [(AUTH, directory.as_str()), (DIRECTORY, auth.as_str())];
    let cases: [(&[&str], _); 9] = [
        (&["serve", "auth"], "auth"),
        (&["serve", "auth", "--migrate"], "auth"),
        (&["serve", "directory"], "directory"),
        (&["serve", "directory", "--migrate"], "directory"),
        (&["serve"], "directory"),
        (&["migrate"], "directory"),
        (&["user", "list"], "directory"),
        (&["project", "list"], "directory"),
        (&["keys", "list"], "auth"),
    ];
    for (words, service) in cases {
        let output = installation
            .spawn(words, &swapped)
            .wait_for_exit(COMMAND)
            .await
            .assert_failure(1);
        let is_clear = output.stderr.contains("belongs to another service")
            && output.stderr.contains(&format!("{service} database"))
            && !output.stderr.contains("panicked");
        assert!(is_clear, "{words:?}: {output}");
        // The URLs contain the password of the database, so they must not be printed.
        assert!(
            backend == Backend::Sqlite
                || !output.stderr.contains(&auth) && !output.stderr.contains(&directory)
        );
    }
    let app = App::on_installation(
        installation.without(&["DOORWARD_AUTH_URL", "DOORWARD_DIRECTORY_URL"]),
    )
    .await;
    assert_eq!(app.http.login("ann", PASSWORD).await.status, 200);
}

async fn migrated_project_gets_default_options(backend: Backend) {
    let installation = Installation::new(backend);
    installation.cli(&["migrate"], "").await.assert_success();
    installation.create_user("ann").await;
    let mut old = Vec::new();
    for number in 0..20 {
        old.push(
            installation
                .create_project("ann", &format!("Old {number}"))
                .await,
        );
    }
    // Restores the schema of the first release.
    let undo = "DROP TABLE project_items; DROP TABLE project_languages; DROP TABLE outbox; DROP TABLE discarded_media; \
                DROP INDEX users_by_signup; ALTER TABLE users DROP COLUMN signup_gid; \
                ALTER TABLE memberships DROP COLUMN notifications; ALTER TABLE projects DROP COLUMN icon_file; \
                DROP TABLE feed_tail; DROP TABLE feed_notices; DROP TABLE feed_listeners; DROP TABLE feed_seats; \
                DROP TABLE feed_release; DROP TABLE service_tokens; DROP TABLE import_state; ALTER TABLE feed DROP COLUMN project_gid; \
                DROP INDEX users_by_email_conflict; ALTER TABLE users DROP COLUMN has_email_conflict; \
                DROP INDEX memberships_by_invitation; ALTER TABLE memberships DROP COLUMN invitation_id; \
                DELETE FROM __diesel_schema_migrations WHERE version > '0001'";
    undo_plain_names(&installation.databases.directory, "directory");
    execute(&installation.databases.directory, undo);

    let app = App::on_installation(installation).await;

    let mut ids = Vec::new();
    for project in &old {
        let (_, data) = app
            .http
            .project_login(project, "ann", PASSWORD)
            .await
            .success();
        let options = &data["cc.projects"][project]["options"];
        let id = |list: &str, position: usize| options[list][position].as_str().expect("an id");
        let own = [
            id("orderedchannels", 1),
            id("orderedorderings", 0),
            id("orderedfieldlists", 0),
        ];
        let [channel, ordering, fieldlist] = own;
        let expected = json!({
            "channels": {"__all__": "[all records]", channel: "Main channel"},
            "orderedchannels": ["__all__", channel],
            "orderings": {ordering: "Main ordering"},
            "orderedorderings": [ordering],
            "fieldlists": {fieldlist: "Main fieldlist"},
            "orderedfieldlists": [fieldlist],
            "languages": ["en"],
            "timezone": "Europe/Amsterdam",
            "imageserver": {"type": "ccdam", "options": {}}
        });
        assert_eq!(options, &expected);
        ids.extend(own.map(str::to_owned));
    }
    for id in &ids {
        assert_eq!(
            id.parse::<Gid>().map(|gid| gid.to_string()).ok().as_ref(),
            Some(id)
        );
        assert!(
            id[14..].starts_with('4') && "89ab".contains(&id[19..20]),
            "{id} is no UUID of version 4"
        );
    }
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 3 * old.len(), "two items have the same id");
}

/// Returns the migration of auth that created the table of codes, without later changes to it.
const fn table_of_codes(backend: Backend) -> &'static str {
    match backend {
        Backend::Sqlite => {
            include_str!("../../../crates/auth/migrations/sqlite/0004_accounts/up.sql")
        }
        Backend::Postgres => {
            include_str!("../../../crates/auth/migrations/postgres/0004_accounts/up.sql")
        }
    }
}

/// Restores the table of codes of the release that allowed one request for each subject. In that
/// release, a signup whose second step had begun used its own gid as the subject; here that applies
/// to the newest signup.
fn undo_several_codes(backend: Backend, auth: &DatabaseUrl) {
    let columns = "validation, purpose, subject, verification, bindings, signup_gid, password_hash, failed_tries, expires_at";
    let old_table = table_of_codes(backend);
    execute(
        auth,
        &format!(
            "CREATE TABLE kept AS SELECT {columns} FROM codes; DROP TABLE codes; {old_table} \
             INSERT INTO codes ({columns}) SELECT {columns} FROM kept; DROP TABLE kept; \
             UPDATE codes SET subject = signup_gid WHERE purpose = 'signup' \
             AND expires_at = (SELECT MAX(expires_at) FROM codes WHERE purpose = 'signup'); \
             DELETE FROM __diesel_schema_migrations WHERE version = '0006'"
        ),
    );
}

async fn codes_survive_the_migration_to_several_requests(backend: Backend) {
    let mut mailed = MailApp::start(backend).await;
    let ann = mailed.user("ann").await;
    mailed.user("ben").await;
    let signup = mailed.request_signup("eva", "eva@example.org").await;
    let begun_signup = mailed.request_signup("fay", "fay@example.org").await;
    let reset = mailed
        .request_password_reset("ben", "a ladder of 9 blue herons")
        .await;
    let change = mailed.request_email_change(&ann, "ann@example.com").await;
    mailed.app.process.kill();
    let auth = mailed.installation.databases.auth.clone();
    let old_rows = "SELECT purpose || ' ' || subject || ' ' || verification || ' ' || bindings || ' ' || expires_at AS text \
         FROM codes ORDER BY validation";
    let rows = "SELECT purpose || ' ' || subject || ' ' || codes_hmac || ' ' || binding_hmacs || ' ' || expires_at AS text \
         FROM codes ORDER BY validation_code_hash";
    undo_plain_names(&auth, "auth");
    undo_several_codes(backend, &auth);
    let before = texts(&auth, old_rows);
    assert_eq!(before.len(), 4);

    let ran = mailed
        .installation
        .cli(&["migrate"], "")
        .await
        .assert_success();
    assert!(format!("{ran}").contains("0006_code_requests"), "{ran}");

    assert_eq!(texts(&auth, rows), before);
    let state = "SELECT purpose || ' ' || request_number || ' ' || CASE WHEN is_reserved THEN 'begun' ELSE 'new' END || ' ' \
         || CASE WHEN is_from_known_network THEN 'known' ELSE 'unknown' END AS text FROM codes ORDER BY purpose, is_reserved";
    let expected = [
        "email 0 new unknown",
        "reset 0 new unknown",
        "signup 0 new unknown",
        "signup 0 begun unknown",
    ];
    assert_eq!(texts(&auth, state), expected);
    mailed.app.restart().await;
    // A second request is valid at the same time as the old one. A sixth request invalidates the
    // oldest one, which is the old one.
    mailed
        .request_password_reset("ben", "a ladder of 9 grey herons")
        .await;
    for _ in 0..5 {
        mailed.request_email_change(&ann, "ann@example.com").await;
        mailed.request_signup("fay", "fay@example.org").await;
    }
    let answer = ann.call("/api/account/update_email", &change).await;
    answer.assert_validation_error("verification_code", "incorrect");
    for (path, second) in [
        ("/api/reset_password", &reset),
        ("/api/signup", &signup),
        ("/api/signup", &begun_signup),
    ] {
        mailed.http.post_anonymous(path, second).await.success();
    }
    assert_eq!(
        mailed
            .http
            .login("ben", "a ladder of 9 blue herons")
            .await
            .status,
        200
    );
    assert_eq!(mailed.http.login("fay", PASSWORD).await.status, 200);
}

/// Renamed tables of auth and of the directory, with their renamed columns.
const RENAMED: [[&str; 7]; 2] = [
    [
        "trust_version: version",
        "known_networks: user_gid network last_login_at",
        "throttle: bucket audited_until",
        "codes: validation_code_hash codes_hmac binding_hmacs failed_attempts request_number",
        "api_keys: user_gid lookup_hmac sealed_key",
        "secrets: name sealed_secret",
        "outbox: id content next_attempt_at",
    ],
    [
        "feed_changes: cursor action data_type data_key",
        "feed_events: audience cursor data_key",
        "feed_subscriptions: user_gid audience after_cursor until_cursor",
        "membership_slots: project_gid slot user_gid opened_cursor closed_cursor",
        "feed_tail: events_cursor",
        "announced_api_version: api_version",
        "users: email_canonical",
    ],
];

async fn renamed_tables_keep_their_rows(backend: Backend) {
    // Mails stay in the outbox, because no mail server listens on this port.
    let settings = [
        ("DOORWARD_SMTP_URL", "smtp://127.0.0.1:9"),
        ("DOORWARD_MAIL_FROM", "no-reply@mail.example.org"),
        ("DOORWARD_APP_URL", "https://app.example.org"),
    ];
    let mut app = App::with_settings(backend, &settings).await;
    let ann = app.user("ann").await;
    let ben = app.user("ben").await;
    let project = app.installation.create_project("ann", "Herbarium").await;
    let robot = ann.create_api_user(&project, "robot").await;
    assert_eq!(app.http.auth(&project, &robot.key).await.status, 200);
    let invite = json!({"username_or_email": "ben"});
    ann.call(&format!("/api/p/{project}/members/invite"), &invite)
        .await
        .success();
    assert_eq!(app.http.login("ann", "a wrong password").await.status, 403);
    let reset = json!({"username_or_email": "ann", "new_password": "a ladder of 9 blue herons"});
    app.http
        .post("/api/reset_password_request")
        .json(&reset)
        .send()
        .await;
    ben.call("/api/account/logout", &json!({"everywhere": true}))
        .await
        .success();
    app.process.kill();
    let databases = [
        &app.installation.databases.auth,
        &app.installation.databases.directory,
    ];
    let rows = |service: usize| {
        RENAMED[service].map(|renamed| {
            let (table, columns) = renamed.split_once(": ").expect("columns");
            let columns = columns.replace(' ', " || ' ' || ");
            texts(
                databases[service],
                &format!("SELECT COALESCE('' || {columns}, '-') AS text FROM {table} ORDER BY 1"),
            )
        })
    };
    let before = [rows(0), rows(1)];
    for (tables, names) in before.iter().zip(RENAMED) {
        for (table, name) in tables.iter().zip(names) {
            assert!(!table.is_empty(), "{name} has no row to keep");
        }
    }
    assert!(
        before[1][2].iter().any(|row| row.contains(" summary/")),
        "{:?}",
        before[1][2]
    );
    undo_plain_names(databases[0], "auth");
    undo_plain_names(databases[1], "directory");
    assert!(
        texts(databases[1], "SELECT scope AS text FROM feed_listeners")
            .iter()
            .any(|row| row.starts_with("card/"))
    );

    app.installation
        .cli(&["migrate"], "")
        .await
        .assert_success();

    assert_eq!([rows(0), rows(1)], before);
    app.restart().await;
    assert_eq!(app.http.login("ann", PASSWORD).await.status, 200);
}
