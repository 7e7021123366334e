//! Tests the operations listener, the health check, and graceful shutdown.

use std::{os::unix::fs::PermissionsExt, time::Duration};

use doorward_tests::{
    App, Backend, Http, Installation, PASSWORD, Postgres, Services,
    backend::Databases,
    eventually,
    installation::COMMAND,
    on_both_databases, ports, raw_http,
    services::Role::{self, Auth, Directory},
};
use serde_json::json;
use tokio::net::TcpListener;
use tonic::transport::Endpoint;
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};

on_both_databases![
    health_and_metrics_are_on_a_listener_of_their_own,
    healthcheck_exit_code_reports_readiness,
];

const METRICS: [&str; 4] = [
    "doorward_http_requests_total",
    "doorward_http_request_duration_seconds",
    "doorward_hash_queue_length",
    "doorward_database_pool_size",
];

async fn health_and_metrics_are_on_a_listener_of_their_own(backend: Backend) {
    let app = App::start(backend).await;
    let ann = app.user("ann").await;
    ann.init().await;
    app.http.get("/api/no-such-path-as-this-one").send().await;
    for path in ["/health/live", "/health/ready"] {
        assert_eq!(app.ops.status(path).await, Some(200), "{path}");
    }
    let metrics = app.ops.get("/metrics").send().await;
    assert_eq!(metrics.status, 200);
    let text = metrics.text();
    for name in METRICS {
        assert!(
            text.lines().any(|line| line.starts_with(name)),
            "{name} is not in\n{text}"
        );
    }
    // Labels must not contain values of callers.
    for secret in ["no-such-path", "ann", ann.gid.as_str(), ann.token.as_str()] {
        assert!(!text.contains(secret), "{secret} is in\n{text}");
    }
    assert_eq!(app.ops.status("/api/ping").await, Some(404));
}

#[tokio::test(flavor = "multi_thread")]
async fn every_service_has_health_and_metrics() {
    let split = Services::start(Backend::Sqlite).await;
    let needed = [
        (Role::Gateway, METRICS[0]),
        (Role::Auth, METRICS[2]),
        (Role::Auth, METRICS[3]),
        (Role::Directory, METRICS[3]),
    ];
    split.http.login("nobody", PASSWORD).await;
    for (role, metric) in needed {
        let ops = split.ops(role);
        assert_eq!(
            (
                ops.status("/health/live").await,
                ops.status("/health/ready").await
            ),
            (Some(200), Some(200)),
            "{role:?}"
        );
        let text = ops.get("/metrics").send().await.text();
        assert!(
            text.contains(metric),
            "{role:?}: {metric} is not in\n{text}"
        );
    }
}

async fn healthcheck_exit_code_reports_readiness(backend: Backend) {
    let mut app = App::start(backend).await;
    let url = format!("http://{}/health/ready", app.ops.address());
    app.installation
        .cli(&["healthcheck"], "")
        .await
        .assert_success();
    app.installation
        .cli(&["healthcheck", &url], "")
        .await
        .assert_success();
    app.process.kill();
    app.installation
        .cli(&["healthcheck"], "")
        .await
        .assert_failure(1);
    app.installation
        .cli(&["healthcheck", &url], "")
        .await
        .assert_failure(1);
}

#[tokio::test(flavor = "multi_thread")]
async fn shutdown_finishes_requests_in_flight() {
    // With these parameters a login takes about a second.
    let mut app = App::with_settings(
        Backend::Sqlite,
        &[
            ("DOORWARD_ARGON2_MEMORY_KIB", "65536"),
            ("DOORWARD_ARGON2_PASSES", "25"),
        ],
    )
    .await;
    app.installation.create_user("ann").await;
    let (head, body) = raw_http::post(
        "/api/login",
        &json!({"username": "ann", "password": PASSWORD}).to_string(),
    );
    let mut login = raw_http::Connection::open(app.http.address()).await;
    login.send(format!("{head}{body}").as_bytes()).await;
    hash_is_running(&app.ops).await;

    app.process.terminate();

    let answer = login.rest(Duration::from_secs(15)).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    app.process.wait_for_exit(COMMAND).await.assert_success();
    assert_eq!(app.http.status("/api/ping").await, None);
}

/// Waits until the request of the login has certainly arrived: the server has answered later
/// requests.
async fn hash_is_running(ops: &Http) {
    for _ in 0..3 {
        assert_eq!(ops.status("/health/live").await, Some(200));
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn idle_server_stops_at_once_also_with_open_connections() {
    let mut app = App::start(Backend::Sqlite).await;
    let mut idle = raw_http::Connection::open(app.http.address()).await;
    idle.send(b"GET /api/ping HTTP/1.1\r\nHost: doorward\r\n\r\n")
        .await;
    eventually("an answer", COMMAND, async || {
        app.http.status("/api/ping").await
    })
    .await;
    app.process.terminate();
    app.process
        .wait_for_exit(Duration::from_secs(10))
        .await
        .assert_success();
}

#[tokio::test(flavor = "multi_thread")]
async fn each_service_stops_when_asked_whether_or_not_its_peers_are_there() {
    for role in Role::ALL {
        let mut split = Services::start(Backend::Sqlite).await;
        let output = split.terminate(role, Duration::from_secs(10)).await;
        assert_eq!(output.code, Some(0), "{role:?}: {output}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn idle_grpc_connections_do_not_delay_shutdown() {
    tokio::join!(
        stops_with_idle_connections(Auth),
        stops_with_idle_connections(Directory)
    );
}

/// Calls in flight get ten seconds at a shutdown, and tasks that still run after thirty seconds
/// make it a failure. Idle connections must not count as calls.
async fn stops_with_idle_connections(role: Role) {
    let mut split = Services::start(Backend::Sqlite).await;
    let address = if role == Auth {
        split.auth.clone()
    } else {
        split.directory.clone()
    };
    let _silent = raw_http::Connection::open(&address).await;
    let mut half_a_greeting = raw_http::Connection::open(&address).await;
    half_a_greeting.send(b"PRI * HTTP/2.0\r\n").await;
    // Connections are accepted in order: when this one is answered, the server has accepted the
    // others.
    let channel = Endpoint::from_shared(format!("http://{address}"))
        .expect("a URL")
        .connect()
        .await;
    let mut health = HealthClient::new(channel.expect("a connection"));
    health
        .check(HealthCheckRequest::default())
        .await
        .expect("an answer");

    let output = split.terminate(role, Duration::from_secs(15)).await;

    assert_eq!(output.code, Some(0), "{role:?}: {output}");
}

#[tokio::test(flavor = "multi_thread")]
async fn start_waiting_for_its_database_ends_on_signal() {
    let postgres = Postgres::start();
    let directory = tempfile::tempdir().expect("a directory");
    let installation = with_grpc_listeners(Installation::over(Databases::on(&postgres), directory));
    postgres.stop();
    for words in [
        &["serve"] as &[&str],
        &["serve", "auth"],
        &["serve", "directory", "--migrate"],
    ] {
        let mut process = installation.spawn(words, &[]);
        let waits = "waiting for the database";
        eventually(waits, COMMAND, async || {
            process.stderr().contains(waits).then_some(())
        })
        .await;
        process.terminate();
        process
            .wait_for_exit(Duration::from_secs(10))
            .await
            .assert_success();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn start_with_a_silent_database_ends_on_signal() {
    let silent = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = silent.local_addr().expect("an address");
    let installation = with_grpc_listeners(Installation::new(Backend::Sqlite));
    for (service, setting) in [
        ("auth", "DOORWARD_AUTH_DATABASE_URL"),
        ("directory", "DOORWARD_DIRECTORY_DATABASE_URL"),
    ] {
        let url = format!("postgres://doorward@{address}/{service}?connect_timeout=60");
        let mut process = installation.spawn(&["serve", service], &[(setting, &url)]);
        let connection = tokio::time::timeout(COMMAND, silent.accept())
            .await
            .expect("in time")
            .expect("a connection");
        process.terminate();
        process
            .wait_for_exit(Duration::from_secs(10))
            .await
            .assert_success();
        drop(connection);
    }
}

fn with_grpc_listeners(installation: Installation) -> Installation {
    installation.with(&[
        ("DOORWARD_AUTH_LISTEN", &ports::free_address()),
        ("DOORWARD_DIRECTORY_LISTEN", &ports::free_address()),
    ])
}

/// The files must be private because one of them contains password hashes.
#[tokio::test(flavor = "multi_thread")]
async fn sqlite_files_are_private() {
    let app = App::start(Backend::Sqlite).await;
    app.user("ann").await;
    for name in ["auth.db", "auth.db-wal", "directory.db", "directory.db-shm"] {
        let metadata = std::fs::metadata(app.installation.path().join(name)).expect(name);
        assert_eq!(metadata.permissions().mode() & 0o777, 0o600, "{name}");
    }
}
