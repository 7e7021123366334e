//! Tests imports that are killed at different points: they can be repeated, and no server starts
//! before that.

use std::{fs::File, io::Write, path::PathBuf, process::Command, time::Duration};

use doorward_tests::{
    App, Backend, Installation, Process, eventually,
    installation::{COMMAND, MASTER_KEY},
    on_both_databases,
    sql::{execute, texts},
};

use crate::operations::transfer::{
    import, other, rejected::does_not_start, source::Source, stream::Export, target,
};

on_both_databases![
    import_that_is_killed_can_be_repeated,
    import_that_is_killed_between_its_commits_can_be_repeated,
    second_import_meanwhile_is_rejected,
];

const TIMEOUT: Duration = Duration::from_secs(20);

/// An import that waits for the rest of its stream, which the test writes to a pipe.
struct RunningImport {
    process: Process,
    pipe: File,
}

impl RunningImport {
    async fn start(installation: &Installation) -> Self {
        let path = installation.path().join("pipe");
        drop(std::fs::remove_file(&path));
        let created = Command::new("mkfifo").arg(&path).status().expect("mkfifo");
        assert!(created.success());
        let process = installation.spawn(&["import", &path.display().to_string()], &[]);
        // Opening the pipe for writing blocks until the import reads it.
        let opened = tokio::task::spawn_blocking(move || File::options().write(true).open(path));
        let pipe = opened.await.expect("a thread").expect("a pipe");
        Self { process, pipe }
    }

    async fn write(&mut self, text: &str) {
        let mut pipe = self.pipe.try_clone().expect("a pipe");
        let text = text.to_owned();
        let written = tokio::task::spawn_blocking(move || pipe.write_all(text.as_bytes()));
        written.await.expect("a thread").expect("a reader");
    }
}

async fn is_marked(installation: &Installation) {
    let state = "SELECT state AS text FROM import_state";
    for url in [
        &installation.databases.auth,
        &installation.databases.directory,
    ] {
        eventually("the mark of a running import", TIMEOUT, async || {
            (texts_or_none(url, state) == ["loading"]).then_some(())
        })
        .await;
    }
}

/// Returns no rows if the table does not exist yet, which is the case before the migrations.
fn texts_or_none(url: &doorward_storage::DatabaseUrl, sql: &str) -> Vec<String> {
    let exists = match url {
        doorward_storage::DatabaseUrl::Sqlite(_) => {
            "SELECT name AS text FROM sqlite_master WHERE name = 'import_state'"
        }
        doorward_storage::DatabaseUrl::Postgres(_) => {
            "SELECT tablename::text AS text FROM pg_tables WHERE tablename = 'import_state'"
        }
    };
    if texts(url, exists).is_empty() {
        Vec::new()
    } else {
        texts(url, sql)
    }
}

fn first_picture(installation: &Installation, export: &Export) -> PathBuf {
    let lines = export.lines();
    let name = lines
        .iter()
        .find(|line| line["bytes"].is_string())
        .expect("a picture")["picture"]
        .clone();
    installation
        .path()
        .join("data/media")
        .join(name.as_str().expect("a name"))
}

async fn import_that_is_killed_can_be_repeated(backend: Backend) {
    let source = Source::new(other(backend)).await;
    let export = source.export().await;
    let installation = target(backend, MASTER_KEY);
    let lines: Vec<&str> = export.0.split_inclusive('\n').collect();
    let parts = [0, 1, 2, lines.len() / 4, lines.len() / 2, lines.len() - 1];
    for part in parts {
        let mut running = RunningImport::start(&installation).await;
        running.write(&lines[..part].concat()).await;
        is_marked(&installation).await;
        if part == lines.len() - 1 {
            // All rows were read, and only the checksum is missing.
            let picture = first_picture(&installation, &export);
            eventually("a picture", TIMEOUT, async || {
                picture.exists().then_some(())
            })
            .await;
        }
        running.process.kill();
        does_not_start(&installation).await;
    }
    // An import whose stream ends early.
    let running = RunningImport::start(&installation).await;
    let RunningImport { mut process, pipe } = running;
    drop(pipe);
    process.wait_for_exit(COMMAND).await.assert_failure(1);
    does_not_start(&installation).await;

    import(&installation, &export).await;
    assert_eq!(Export::of(&installation).await.0, export.0);
    source.works_on(installation).await;
}

/// The test writes the states that a kill between two commits leaves directly into the databases.
async fn import_that_is_killed_between_its_commits_can_be_repeated(backend: Backend) {
    let export = Source::new(other(backend)).await.export().await;
    let installation = target(backend, MASTER_KEY);
    let auth = &installation.databases.auth;
    let directory = &installation.databases.directory;
    let loading = "UPDATE import_state SET state = 'loading'";
    let none = "DELETE FROM import_state";
    import(&installation, &export).await;
    // All rows are present, but the marks of one or both databases were not removed.
    for urls in [&[auth][..], &[auth, directory]] {
        urls.iter().for_each(|url| execute(url, loading));
        assert_server_does_not_start(&installation).await;
        import(&installation, &export).await;
        assert_eq!(Export::of(&installation).await.0, export.0);
    }
    // One database is marked and has no rows yet.
    let installation = target(backend, MASTER_KEY);
    installation.cli(&["migrate"], "").await.assert_success();
    let marked = "INSERT INTO import_state (id, import_gid, state) \
        VALUES (1, '0f8fad5b-d9cb-469f-a165-70867728950e', 'loading')";
    execute(&installation.databases.auth, marked);
    assert_server_does_not_start(&installation).await;
    import(&installation, &export).await;
    assert_eq!(Export::of(&installation).await.0, export.0);
    // A database that belongs to another, complete import is not deleted.
    execute(&installation.databases.auth, loading);
    execute(
        &installation.databases.auth,
        "UPDATE import_state SET import_gid = '1f8fad5b-d9cb-469f-a165-70867728950e'",
    );
    let refused = installation
        .cli(&["import"], &export.0)
        .await
        .assert_failure(1);
    assert!(
        refused
            .stderr
            .contains("directory database was imported already"),
        "{refused}"
    );
    execute(&installation.databases.auth, none);
    assert_eq!(Export::of(&installation).await.0, export.0);
}

async fn assert_server_does_not_start(installation: &Installation) {
    let refused = installation.cli(&["serve"], "").await.assert_failure(1);
    assert!(refused.stderr.contains("was not completed"), "{refused}");
}

async fn second_import_meanwhile_is_rejected(backend: Backend) {
    let export = Source::new(other(backend)).await.export().await;
    let installation = target(backend, MASTER_KEY);
    let lines: Vec<&str> = export.0.split_inclusive('\n').collect();
    let mut running = RunningImport::start(&installation).await;
    running.write(&lines[..3].concat()).await;
    is_marked(&installation).await;
    let second = installation
        .cli(&["import"], &export.0)
        .await
        .assert_failure(1);
    assert!(
        second.stderr.contains("in use") || second.stderr.contains("unavailable"),
        "{second}"
    );
    installation
        .cli(
            &["user", "create", "--username", "zoe", "--password-stdin"],
            "a long enough password",
        )
        .await
        .assert_failure(1);
    let serve = installation.cli(&["serve"], "").await.assert_failure(1);
    assert!(
        serve.stderr.contains("in use") || serve.stderr.contains("was not completed"),
        "{serve}"
    );
    running.write(&lines[3..].concat()).await;
    let RunningImport { mut process, pipe } = running;
    drop(pipe);
    process.wait_for_exit(COMMAND).await.assert_success();
    assert_eq!(Export::of(&installation).await.0, export.0);
    App::on_installation(installation).await;
}
