//! Tests of the operations listener with checks that pass, fail or hang.

use std::sync::OnceLock;

use super::*;
use crate::{cli::Healthcheck, commands::healthcheck};

async fn start(checks: Vec<(&'static str, Check)>) -> (String, CancellationToken) {
    static METRICS: OnceLock<PrometheusHandle> = OnceLock::new();
    let metrics = METRICS.get_or_init(|| install_metrics().unwrap()).clone();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let shutdown = CancellationToken::new();
    let before_scrape = || metrics::gauge!("doorward_test_gauge").set(7.0);
    tokio::spawn(serve(
        listener,
        checks,
        metrics,
        before_scrape,
        shutdown.clone(),
    ));
    (url, shutdown)
}

async fn get(url: &str) -> (u16, String) {
    let (status, body) = healthcheck::get(url).await.unwrap();
    (status.as_u16(), body)
}

fn failing(why: &'static str) -> Check {
    Check::new(move || async move { Err(why.to_owned()) })
}

#[tokio::test]
async fn process_is_ready_when_every_check_passes() {
    let (url, _shutdown) = start(vec![("auth", Check::new(|| async { Ok(()) }))]).await;
    assert_eq!(
        get(&format!("{url}/health/live")).await,
        (200, r#"{"status":"live"}"#.to_owned())
    );
    let ready = format!("{url}/health/ready");
    assert_eq!(
        get(&ready).await,
        (
            200,
            r#"{"status":"ready","checks":{"auth":"ok"}}"#.to_owned()
        )
    );
    healthcheck::run(
        Healthcheck { url: Some(ready) },
        "127.0.0.1:1".parse().unwrap(),
    )
    .await
    .unwrap();
}

#[tokio::test]
async fn checks_that_fail_or_hang_say_so_together() {
    let hanging = || Check::new(std::future::pending);
    let checks = vec![
        ("a", Check::new(|| async { Ok(()) })),
        ("b", failing("gone")),
        ("c", hanging()),
        ("d", hanging()),
    ];
    let (url, _shutdown) = start(checks).await;
    let ready = format!("{url}/health/ready");
    let (status, body) = tokio::time::timeout(READINESS_TIMEOUT * 2, get(&ready))
        .await
        .unwrap();
    let late = "no answer within 1 s";
    let expected = format!(
        r#"{{"status":"not ready","checks":{{"a":"ok","b":"gone","c":"{late}","d":"{late}"}}}}"#
    );
    assert_eq!((status, body), (503, expected));
    let error = healthcheck::run(
        Healthcheck { url: Some(ready) },
        "127.0.0.1:1".parse().unwrap(),
    )
    .await
    .unwrap_err();
    assert!(error.to_string().contains(r#""b":"gone""#), "{error}");
}

#[tokio::test]
async fn metrics_are_prometheus_text_with_fresh_gauges_and_buckets() {
    let (url, _shutdown) = start(Vec::new()).await;
    metrics::histogram!("doorward_hash_duration_seconds").record(0.03);
    let (status, text) = get(&format!("{url}/metrics")).await;
    assert_eq!(status, 200);
    for line in [
        "doorward_test_gauge 7",
        "doorward_hash_duration_seconds_bucket{le=\"0.05\"} 1",
        "doorward_build_info{version=",
    ] {
        assert!(text.contains(line), "{text}");
    }
}

#[tokio::test]
async fn anything_else_is_a_404_in_json() {
    let (url, _shutdown) = start(Vec::new()).await;
    assert_eq!(
        get(&format!("{url}/")).await,
        (404, r#"{"error":"not found"}"#.to_owned())
    );
}

#[tokio::test]
async fn it_ends_at_shutdown() {
    let (url, shutdown) = start(Vec::new()).await;
    get(&format!("{url}/health/live")).await;
    shutdown.cancel();
    let gone = async { while healthcheck::get(&url).await.is_ok() {} };
    tokio::time::timeout(Duration::from_secs(5), gone)
        .await
        .unwrap();
}

/// Connections that send nothing, half a head, or nothing more after a response are closed after
/// the limit.
#[tokio::test]
async fn connections_that_wait_for_a_head_end() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let limit = Duration::from_millis(300);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let app = Router::new().route("/health/live", axum::routing::get(|| async { "live" }));
    tokio::spawn(serve_connections(
        listener,
        app,
        limit,
        CancellationToken::new(),
    ));
    for head in [
        "",
        "G",
        "GET /health/live HTTP/1.1\r\nHost: x\r\n",
        "GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n",
    ] {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        let closed =
            tokio::time::timeout(Duration::from_secs(10), stream.read_to_end(&mut answer)).await;
        assert!(closed.is_ok(), "still open after {head:?}");
        assert_eq!(
            answer.starts_with(b"HTTP/1.1 200"),
            head.ends_with("\r\n\r\n"),
            "{head:?}"
        );
    }
}

#[test]
fn limit_for_heads_is_a_minute_at_most() {
    assert!(HEAD_TIMEOUT <= Duration::from_secs(60));
}
