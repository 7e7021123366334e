//! Tests PgBouncer between Doorward and PostgreSQL: session mode works, and other modes are
//! rejected with a message.

use doorward_tests::{App, Installation, PgBouncer, Postgres, backend::Databases};
use serde_json::json;

fn through(pooler: &PgBouncer) -> Installation {
    let databases = Databases::at(pooler.url("auth"), pooler.url("directory"));
    Installation::over(databases, tempfile::tempdir().expect("a directory"))
}

#[tokio::test(flavor = "multi_thread")]
async fn poolers_that_share_sessions_are_rejected_by_name() {
    let postgres = Postgres::start();
    drop(Databases::on(&postgres));
    for mode in ["transaction", "statement"] {
        let pooler = PgBouncer::start(&postgres, mode);
        let installation = through(&pooler);
        for words in [&["migrate"][..], &["serve"]] {
            let output = installation.cli(words, "").await.assert_failure(1);
            let is_named = mode == "statement"
                || output
                    .stderr
                    .contains("connection pooler in transaction mode");
            assert!(
                is_named && !output.stderr.contains("panicked"),
                "{mode}: {output}"
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn pooler_in_session_mode_works() {
    let postgres = Postgres::start();
    drop(Databases::on(&postgres));
    let pooler = PgBouncer::start(&postgres, "session");
    let app = App::on_installation(through(&pooler)).await;
    let ann = app.user("ann").await;
    for _ in 0..50 {
        ann.call("/api/projects/create", &json!({"name": "A project"}))
            .await
            .success();
        assert_eq!(ann.init().await.status, 200);
    }
}
