//! Tests `doorward export` and `doorward import`: the whole state moves between databases and
//! master keys, and existing tokens, keys, cursors and codes still work afterwards.

pub(crate) mod interrupted;
pub(crate) mod memory;
pub(crate) mod rejected;
pub(crate) mod source;
pub(crate) mod stream;

use doorward_tests::{
    App, Backend, Installation, PASSWORD,
    installation::{COMMAND, MASTER_KEY},
};
use serde_json::{Value, json};

use crate::operations::transfer::source::Source;
use crate::operations::transfer::stream::Export;

const NEW_KEY: &str = "YW5vdGhlciBtYXN0ZXIga2V5IG9mIHRoZSB0ZXN0cyE=";
const OLD: &str = "DOORWARD_MASTER_KEY_OLD";

fn other(backend: Backend) -> Backend {
    match backend {
        Backend::Sqlite => Backend::Postgres,
        Backend::Postgres => Backend::Sqlite,
    }
}

/// Returns a new, empty installation.
fn target(backend: Backend, master_key: &str) -> Installation {
    Installation::new(backend).with(&[("DOORWARD_MASTER_KEY", master_key)])
}

/// Imports from standard input and returns the report of the command.
async fn import(target: &Installation, export: &Export) -> Value {
    target
        .cli(&["import"], &export.0)
        .await
        .assert_success()
        .json()
}

mod with_the_same_master_key {
    use super::*;

    async fn exports_are_equal(from: Backend, to: Backend) {
        let source = Source::new(from).await;
        let export = source.export().await;
        let target = target(to, MASTER_KEY);

        let report = import(&target, &export).await;

        assert_eq!(
            report,
            json!({"counts": export.header()["counts"], "sha256": export.sha256()})
        );
        assert_eq!(Export::of(&target).await.0, export.0);
        // An export to a file has the same content and report.
        let file = target.path().join("state.jsonl").display().to_string();
        let written = target
            .cli(&["export", &file], "")
            .await
            .assert_success()
            .json();
        assert_eq!(
            (written, std::fs::read_to_string(&file).expect("the export")),
            (report, export.0.clone())
        );
        assert!(
            !export.0.contains(&source.robot.key) && !export.0.contains(PASSWORD),
            "secrets in plain text"
        );
        source.works_on(target).await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn from_sqlite_to_postgres() {
        exports_are_equal(Backend::Sqlite, Backend::Postgres).await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn from_postgres_to_sqlite() {
        exports_are_equal(Backend::Postgres, Backend::Sqlite).await;
    }
}

mod with_another_master_key {
    use super::*;

    async fn exports_are_equal_after_unsealing(from: Backend, to: Backend) {
        let source = Source::new(from).await;
        let export = source.export().await;
        let target = target(to, NEW_KEY);
        let old = target.path().join("old.key");
        std::fs::write(&old, format!("{MASTER_KEY}\n")).expect("a file");
        let file = target.path().join("state.jsonl").display().to_string();
        std::fs::write(&file, &export.0).expect("the export");

        let words = [
            "import",
            &file,
            "--master-key-old-file",
            &old.display().to_string(),
        ];
        target.cli(&words, "").await.assert_success();

        let again = Export::of(&target).await;
        assert_eq!(again.unsealed(NEW_KEY), export.unsealed(MASTER_KEY));
        assert_ne!(again.0, export.0);
        source.works_on(target).await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn from_sqlite_to_postgres() {
        exports_are_equal_after_unsealing(Backend::Sqlite, Backend::Postgres).await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn from_postgres_to_sqlite() {
        exports_are_equal_after_unsealing(Backend::Postgres, Backend::Sqlite).await;
    }

    /// With SQLite, the import generates the master key as the first start of a server would.
    #[tokio::test(flavor = "multi_thread")]
    async fn sqlite_installation_generates_its_master_key() {
        let source = Source::new(Backend::Postgres).await;
        let export = source.export().await;
        let target = Installation::new(Backend::Sqlite).without(&["DOORWARD_MASTER_KEY"]);
        let refused = target.cli(&["import"], &export.0).await.assert_failure(1);
        assert!(refused.stderr.contains("master key"), "{refused}");

        let old = [(OLD, MASTER_KEY)];
        let target = target.with(&old);
        import(&target, &export).await;

        assert!(target.path().join("data/master.key").exists());
        source.works_on(target.without(&[OLD])).await;
    }
}

/// An export must show the state of one moment, even while other processes write.
async fn export_of_a_busy_server_is_consistent(backend: Backend) {
    let app = App::start(backend).await;
    let ann = app.user("ann").await;
    let rename = async {
        for number in 0..40 {
            ann.call(
                "/api/account/update",
                &json!({"name": format!("Ann {number}")}),
            )
            .await
            .success();
        }
    };
    let create = async {
        for number in 0..8 {
            app.installation.create_user(&format!("user{number}")).await;
        }
    };
    let export = async {
        let mut exports = Vec::new();
        for _ in 0..6 {
            exports.push(Export::of(&app.installation).await);
        }
        exports
    };
    let ((), (), exports) = tokio::join!(rename, create, export);
    for export in &exports {
        let last = export
            .rows("directory.feed_changes")
            .iter()
            .filter_map(|row| row["cursor"].as_i64())
            .max();
        assert_eq!(
            last.unwrap_or(0),
            export.rows("directory.feed_head")[0]["cursor"]
        );
        let followed = export.rows("auth.feed_position")[0]["cursor"]
            .as_i64()
            .expect("a cursor");
        assert!(
            followed <= last.unwrap_or(0),
            "auth has followed changes that are not in the export"
        );
        let credentials: Vec<Value> = export
            .rows("auth.credentials")
            .iter()
            .map(|row| row["user_gid"].clone())
            .collect();
        for user in export.rows("directory.users") {
            assert!(
                credentials.contains(&user["gid"]),
                "a user without a password: {user}"
            );
        }
        let target = target(other(backend), MASTER_KEY);
        import(&target, export).await;
        assert_eq!(Export::of(&target).await.0, export.0);
    }
}

async fn import_into_a_nonempty_installation_is_rejected(backend: Backend) {
    let export = Source::new(other(backend)).await.export().await;
    // First an installation in which only the command line was used, then one with a running
    // server.
    let installation = target(backend, MASTER_KEY);
    installation.create_user("zoe").await;
    let before = Export::of(&installation).await;
    let refused = installation
        .cli(&["import"], &export.0)
        .await
        .assert_failure(1);
    assert!(refused.stderr.contains("not empty"), "{refused}");
    assert_eq!(Export::of(&installation).await.0, before.0);

    let app = App::on_installation(installation).await;
    let before = Export::of(&app.installation).await;
    let refused = app
        .installation
        .cli(&["import"], &export.0)
        .await
        .assert_failure(1);
    assert!(
        refused.stderr.contains("not empty") || refused.stderr.contains("in use"),
        "{refused}"
    );
    assert_eq!(Export::of(&app.installation).await.0, before.0);
    assert_eq!(app.http.login("zoe", PASSWORD).await.status, 200);

    // An imported installation that was never started.
    let imported = target(backend, MASTER_KEY);
    import(&imported, &export).await;
    let refused = imported.cli(&["import"], &export.0).await.assert_failure(1);
    assert!(refused.stderr.contains("imported already"), "{refused}");
    assert_eq!(Export::of(&imported).await.0, export.0);
}

async fn one_nonempty_database_rejects_the_import(backend: Backend) {
    let source = Source::new(backend).await;
    let export = source.export().await;
    let auth = &source.app.installation.databases.auth;
    let directory = &source.app.installation.databases.directory;
    let [auth, directory] = [auth, directory].map(doorward_tests::backend::url_text);
    for (name, url) in [
        ("DOORWARD_AUTH_DATABASE_URL", &auth),
        ("DOORWARD_DIRECTORY_DATABASE_URL", &directory),
    ] {
        let half = target(backend, MASTER_KEY);
        let refused = half
            .spawn(&["import", "/dev/null"], &[(name, url)])
            .wait_for_exit(COMMAND)
            .await
            .assert_failure(1);
        assert!(refused.stderr.contains("not empty"), "{refused}");
        // Neither database was changed.
        assert_eq!(source.export().await.0, export.0);
        import(&half, &export).await;
    }
}

async fn import_into_an_installation_that_was_migrated_before(backend: Backend) {
    let export = Source::new(backend).await.export().await;
    let installation = target(backend, MASTER_KEY);
    installation.cli(&["migrate"], "").await.assert_success();
    import(&installation, &export).await;
    assert_eq!(Export::of(&installation).await.0, export.0);
}

async fn empty_installation_can_be_exported(backend: Backend) {
    let empty = target(backend, MASTER_KEY);
    let export = Export::of(&empty).await;
    let target = target(other(backend), NEW_KEY);
    import(&target, &export).await;
    assert_eq!(Export::of(&target).await.0, export.0);
    App::on_installation(target).await.user("ann").await;
}

doorward_tests::on_both_databases![
    export_of_a_busy_server_is_consistent,
    import_into_a_nonempty_installation_is_rejected,
    one_nonempty_database_rejects_the_import,
    import_into_an_installation_that_was_migrated_before,
    empty_installation_can_be_exported,
];

#[tokio::test(flavor = "multi_thread")]
async fn export_is_private_and_replaces_a_file_only_when_it_is_complete() {
    use std::os::unix::fs::PermissionsExt;

    let installation = target(Backend::Sqlite, MASTER_KEY);
    let file = installation.path().join("state.jsonl");
    let words = ["export", &file.display().to_string()];
    installation.cli(&words, "").await.assert_success();
    assert_eq!(
        std::fs::metadata(&file)
            .expect("the export")
            .permissions()
            .mode()
            & 0o777,
        0o600
    );
    std::fs::write(&file, "kept").expect("a file");
    let nowhere = [(
        "DOORWARD_DIRECTORY_DATABASE_URL",
        "postgres://127.0.0.1:1/nowhere",
    )];
    installation
        .spawn(&words, &nowhere)
        .wait_for_exit(COMMAND)
        .await
        .assert_failure(1);
    assert_eq!(std::fs::read_to_string(&file).expect("the file"), "kept");
    installation.cli(&words, "").await.assert_success();
    assert_eq!(
        std::fs::read_to_string(&file).expect("the export"),
        Export::of(&installation).await.0
    );
    let names = std::fs::read_dir(installation.path()).expect("a directory");
    let drafts = names.filter(|name| {
        name.as_ref()
            .expect("a file")
            .file_name()
            .display()
            .to_string()
            .contains("jsonl.")
    });
    assert_eq!(drafts.count(), 0);
    installation
        .cli(&["export", "/nowhere/at/all"], "")
        .await
        .assert_failure(1);
    installation
        .cli(&["import", "/nowhere/at/all"], "")
        .await
        .assert_failure(1);
    // The failed commands have changed nothing, so the server starts.
    App::on_installation(installation).await;
}
