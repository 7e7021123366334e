//! Tests databases that are reachable but fail: full, read-only, locked, or replaced by a standby.
//! Writes return 503 with `Retry-After`, and the readiness check names the reason.

use std::{io::Write, path::Path, time::Duration};

use doorward_storage::DatabaseUrl;
use doorward_tests::{
    App, Backend, Http, Installation, MANY_WRITES, MountNamespace, PASSWORD, Postgres, Process,
    User,
    app::wait_until_ready,
    backend::Databases,
    eventually,
    sql::{execute, lock_table},
};
use serde_json::json;

const TIMEOUT: Duration = Duration::from_secs(30);

/// Shell script that mounts a small file system for one process only, with the current files of the
/// directory.
const ON_A_SMALL_DISK: &str = "cp -a \"$0\" \"$0.before\" && mount -t tmpfs -o size=24m tmpfs \"$0\" \
     && cp -a \"$0.before\"/. \"$0\" && exec \"$@\"";

/// Writes until a write returns 503. All answers before must be successful.
async fn until_unavailable(http: &Http, token: &str) {
    eventually("503", TIMEOUT, async || {
        let answer = http
            .post("/api/projects/create")
            .bearer(token)
            .json(&json!({"name": "x".repeat(60)}))
            .send()
            .await;
        if answer.status == 200 {
            return None;
        }
        answer.assert_unavailable();
        Some(())
    })
    .await;
}

async fn until_not_ready(ops: &Http, reason: &str) {
    eventually(reason, TIMEOUT, async || {
        let answer = ops.get("/health/ready").send().await;
        (answer.status == 503 && answer.text().contains(reason)).then_some(())
    })
    .await;
}

async fn until_ready(ops: &Http) {
    eventually("ready", TIMEOUT, async || {
        (ops.status("/health/ready").await == Some(200)).then_some(())
    })
    .await;
}

/// Fills a file system to the last byte.
fn fill(path: &Path) {
    let mut file = std::fs::File::create(path).expect("a file");
    for size in [65_536, 4096, 1] {
        while file.write_all(&vec![0; size]).is_ok() {}
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn full_disk_under_sqlite_is_503_and_named() {
    let directory = tempfile::tempdir().expect("a directory");
    let small = directory.path().join("small");
    std::fs::create_dir(&small).expect("a directory");
    let file = |name: &str| DatabaseUrl::Sqlite(small.join(name));
    let databases = Databases::at(file("auth.db"), file("directory.db"));
    let installation = Installation::over(databases, directory);
    installation.create_user("ann").await;

    let small_text = small.display().to_string();
    let wrapper = [
        MountNamespace::detect().words(),
        &["sh", "-c", ON_A_SMALL_DISK, &small_text],
    ]
    .concat();
    let mut process: Process = installation.spawn_through(&wrapper, &["serve"]);
    let http = Http::new(&installation.variable("DOORWARD_LISTEN"));
    let ops = Http::new(&installation.variable("DOORWARD_OPS_LISTEN"));
    wait_until_ready(&mut process, &ops).await;
    let token = http.login("ann", PASSWORD).await.token();

    let inside = format!("/proc/{}/root{small_text}/filler", process.id());
    fill(Path::new(&inside));
    for check in ["directory_database", "auth_database"] {
        until_not_ready(
            &ops,
            &format!(r#""{check}":"the disk of the database is full"#),
        )
        .await;
    }
    until_unavailable(&http, &token).await;
    assert_eq!(http.init(&token).await.status, 200, "reads must still work");
    assert_eq!(http.status("/api/ping").await, Some(200));

    std::fs::remove_file(&inside).expect("the filler");
    until_ready(&ops).await;
    http.login("ann", PASSWORD).await.success();
    http.post("/api/projects/create")
        .bearer(&token)
        .json(&json!({"name": "Room again"}))
        .send()
        .await
        .success();
}

#[tokio::test(flavor = "multi_thread")]
async fn full_disk_under_postgresql_is_503_and_named() {
    let postgres = Postgres::start_with_small_disk();
    let directory = tempfile::tempdir().expect("a directory");
    let app = App::on_installation(
        Installation::over(Databases::on(&postgres), directory).with(&[MANY_WRITES]),
    )
    .await;
    let ann = app.user("ann").await;

    let filler = postgres.mount_small_disk().join("filler");
    fill(&filler);
    for check in ["directory_database", "auth_database"] {
        until_not_ready(
            &app.ops,
            &format!(r#""{check}":"the disk of the database is full"#),
        )
        .await;
    }
    until_unavailable(&app.http, &ann.token).await;
    assert_eq!(ann.init().await.status, 200, "reads must still work");
    assert_eq!(app.http.status("/api/ping").await, Some(200));

    std::fs::remove_file(&filler).expect("the filler");
    until_ready(&app.ops).await;
    app.http.login("ann", PASSWORD).await.success();
    ann.call("/api/projects/create", &json!({"name": "Room again"}))
        .await
        .success();
}

#[tokio::test(flavor = "multi_thread")]
async fn postgresql_that_became_read_only_is_503_and_named() {
    let postgres = Postgres::start();
    let directory = tempfile::tempdir().expect("a directory");
    let app = App::on_installation(Installation::over(Databases::on(&postgres), directory)).await;
    let ann = app.user("ann").await;

    postgres.set("default_transaction_read_only", "on");
    until_not_ready(&app.ops, "the database is read-only").await;
    until_unavailable(&app.http, &ann.token).await;
    assert_eq!(ann.init().await.status, 200, "reads must still work");

    postgres.set("default_transaction_read_only", "off");
    until_ready(&app.ops).await;
    ann.call("/api/projects/create", &json!({"name": "Written again"}))
        .await
        .success();
    app.http.login("ann", PASSWORD).await.success();
}

/// After a failover, old sessions can stay read-only while new ones are writable. Doorward must
/// replace the old ones.
#[tokio::test(flavor = "multi_thread")]
async fn sessions_of_before_a_failover_are_replaced() {
    let app = App::start(Backend::Postgres).await;
    let ann = app.user("ann").await;
    for url in [
        &app.installation.databases.auth,
        &app.installation.databases.directory,
    ] {
        let set = |value: &str| {
            let sql = format!(
                "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET default_transaction_read_only = {value}', current_database()); END $$"
            );
            execute(&with_writes(url), &sql);
        };
        set("on");
        let end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
                   WHERE datname = current_database() AND pid <> pg_backend_pid()";
        execute(&with_writes(url), end);
        until_not_ready(&app.ops, "read-only").await;
        set("off");
    }
    until_ready(&app.ops).await;
    for _ in 0..20 {
        ann.call("/api/projects/create", &json!({"name": "Written"}))
            .await
            .success();
    }
}

/// Returns a URL whose sessions can write even if sessions are read-only by default.
fn with_writes(url: &DatabaseUrl) -> DatabaseUrl {
    let DatabaseUrl::Postgres(text) = url else {
        panic!("{url}")
    };
    DatabaseUrl::Postgres(format!(
        "{text}?options=-c%20default_transaction_read_only%3Doff"
    ))
}

#[tokio::test(flavor = "multi_thread")]
async fn standby_that_is_promoted_takes_over() {
    let primary = Postgres::start();
    drop(Databases::on(&primary));
    let standby = primary.start_standby();
    let url = |database| primary.url_with_standby(&standby, database);
    let databases = Databases::at(url("auth"), url("directory"));
    let app = App::on_installation(Installation::over(
        databases,
        tempfile::tempdir().expect("a directory"),
    ))
    .await;
    let ann: User = app.user("ann").await;
    let is_replicated = "SELECT username AS text FROM users WHERE username = 'ann'";
    eventually("replicated", TIMEOUT, async || {
        (!doorward_tests::sql::texts(&standby.url("directory"), is_replicated).is_empty())
            .then_some(())
    })
    .await;

    primary.stop();
    until_unavailable(&app.http, &ann.token).await;
    standby.promote();
    until_ready(&app.ops).await;
    ann.call(
        "/api/projects/create",
        &json!({"name": "On the other server"}),
    )
    .await
    .success();
    app.http.login("ann", PASSWORD).await.success();
}

#[tokio::test(flavor = "multi_thread")]
async fn lock_timeout_is_503_in_any_language() {
    let installation = Installation::new(Backend::Postgres);
    for url in [
        &installation.databases.auth,
        &installation.databases.directory,
    ] {
        // Errors must be recognised by their SQLSTATE, not by the language of their text.
        let german = "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET lc_messages = ''de_DE.UTF-8''', current_database()); END $$";
        execute(url, german);
    }
    let app = App::on_installation(installation).await;
    let ann = app.user("ann").await;
    let locked = lock_table(&app.installation.databases.directory, "projects");
    ann.call("/api/projects/create", &json!({"name": "Locked"}))
        .await
        .assert_unavailable();
    drop(locked);
    ann.call("/api/projects/create", &json!({"name": "Free"}))
        .await
        .success();
}
