//! Tests that Doorward recovers when PostgreSQL is stopped and started again under load.

use std::time::Duration;

use doorward_tests::{
    App, Installation, PASSWORD, Postgres,
    backend::Databases,
    eventually,
    load::{Load, Request},
};

const OUTAGE: Duration = Duration::from_secs(2);
const RECOVERY_TIMEOUT: Duration = Duration::from_secs(20);

#[tokio::test(flavor = "multi_thread")]
async fn responses_without_postgresql_are_503() {
    let postgres = Postgres::start();
    let directory = tempfile::tempdir().expect("a directory");
    // An outage takes about 9 s here. With trust data older than the default of 10 s, the gateway
    // would answer 503 to an invalid token as well.
    let installation = Installation::over(Databases::on(&postgres), directory)
        .with(&[("DOORWARD_TRUST_MAX_AGE", "60s")]);
    let app = App::on_installation(installation).await;
    let ann = app.user("ann").await;
    let load = Load::start(&app.http, &ann.token);

    for _ in 0..2 {
        postgres.stop();
        eventually("503", RECOVERY_TIMEOUT, async || {
            (app.http.login("ann", PASSWORD).await.status == 503).then_some(())
        })
        .await;
        eventually("not ready", RECOVERY_TIMEOUT, async || {
            (app.ops.status("/health/ready").await == Some(503)).then_some(())
        })
        .await;
        assert_eq!(app.http.status("/api/ping").await, Some(200));
        assert_eq!(app.ops.status("/health/live").await, Some(200));
        tokio::time::sleep(OUTAGE).await;

        postgres.restart();
        eventually("a login", RECOVERY_TIMEOUT, async || {
            (app.http.login("ann", PASSWORD).await.status == 200).then_some(())
        })
        .await;
        eventually("an init", RECOVERY_TIMEOUT, async || {
            (ann.init().await.status == 200).then_some(())
        })
        .await;
        eventually("ready", RECOVERY_TIMEOUT, async || {
            (app.ops.status("/health/ready").await == Some(200)).then_some(())
        })
        .await;
    }

    for (request, count) in load.stop().await {
        assert!(count.answered > 0, "{request:?}: {count:?}");
        assert_eq!(
            count.unavailable > 0,
            !matches!(request, Request::BadToken),
            "{request:?}: {count:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn command_without_database_fails_without_secrets() {
    let postgres = Postgres::start();
    let directory = tempfile::tempdir().expect("a directory");
    let installation = Installation::over(Databases::on(&postgres), directory);
    installation.cli(&["migrate"], "").await.assert_success();
    postgres.stop();
    let output = installation
        .cli(&["user", "list"], "")
        .await
        .assert_failure(1);
    assert!(
        !output.stderr.contains("panicked") && !output.stderr.contains("throw-away"),
        "{output}"
    );
    postgres.restart();
    installation
        .cli(&["user", "list"], "")
        .await
        .assert_success();
}
