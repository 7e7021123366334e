//! Tests that a slow or blocked log does not delay the service.

use std::{
    io::Read,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use doorward_tests::{Backend, Http, Installation, eventually, process::binary};

/// The parent process reads neither stdout nor stderr, so the pipes fill up.
#[tokio::test(flavor = "multi_thread")]
async fn unread_log_does_not_block_the_server() {
    let installation = Installation::new(Backend::Sqlite).with(&[("DOORWARD_LOG_FORMAT", "json")]);
    installation.create_user("ann").await;
    let mut command = installation.command(
        binary(),
        &[("RUST_LOG", "trace,doorward_gateway::request=debug")],
    );
    let mut child = command
        .arg("serve")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let http = Http::new(&installation.variable("DOORWARD_LISTEN"));
    let ops = Http::new(&installation.variable("DOORWARD_OPS_LISTEN"));
    let within = Duration::from_secs(60);
    eventually("ready", within, async || {
        (ops.status("/health/ready").await == Some(200)).then_some(())
    })
    .await;

    let dropped = async || ops.metric("doorward_log_lines_dropped_total").await;
    let started = Instant::now();
    while dropped().await == 0.0 {
        for _ in 0..200 {
            assert_eq!(http.status("/api/ping").await, Some(200));
        }
        assert!(started.elapsed() < within, "no line was dropped");
    }
    for _ in 0..200 {
        assert_eq!(http.status("/api/ping").await, Some(200));
    }
    assert_eq!(ops.status("/health/ready").await, Some(200));

    // The server still stops on SIGTERM.
    assert!(
        Command::new("kill")
            .args(["-TERM", &child.id().to_string()])
            .status()
            .unwrap()
            .success()
    );
    let ended = eventually("the end", within, async || child.try_wait().unwrap()).await;
    assert_eq!(ended.code(), Some(0));
    let mut text = Vec::new();
    child.stderr.take().unwrap().read_to_end(&mut text).unwrap();
    let lines = String::from_utf8_lossy(&text);
    assert!(
        lines
            .lines()
            .next()
            .is_some_and(|line| line.starts_with('{') && line.ends_with('}')),
        "whole lines"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn start_failure_is_printed() {
    let installation =
        Installation::new(Backend::Sqlite).with(&[("DOORWARD_OPS_LISTEN", "192.0.2.1:1")]);
    let output = installation.cli(&["serve"], "").await.assert_failure(1);
    assert!(output.stderr.contains("192.0.2.1:1"), "{output}");
}
