//! Tests `doorward demo`, which runs everything in one process with example data.

use std::time::Duration;

use doorward_tests::{
    Backend, Http, Installation, Process, app::START_TIMEOUT, app::wait_until_ready, eventually,
    installation::COMMAND, ports, process::clean_command,
};
use serde_json::{Value, json};

/// Starts a demo with default settings except for the ports. It runs in the directory of the test.
fn demo(installation: &Installation) -> (Process, Http, Http) {
    let listen = ports::free_address();
    let ops = ports::free_address();
    let process = installation.spawn(
        &["demo"],
        &[("DOORWARD_LISTEN", &listen), ("DOORWARD_OPS_LISTEN", &ops)],
    );
    (process, Http::new(&listen), Http::new(&ops))
}

pub(crate) fn installation() -> Installation {
    Installation::new(Backend::Sqlite).without(&[
        "DOORWARD_AUTH_DATABASE_URL",
        "DOORWARD_DIRECTORY_DATABASE_URL",
        "DOORWARD_MASTER_KEY",
    ])
}

/// Returns the curl command that the demo prints, with its continuation lines.
async fn printed_curl(process: &mut Process) -> String {
    eventually("a curl command", START_TIMEOUT, async || {
        assert!(process.is_running(), "the demo ended: {}", process.log());
        let printed = format!("{}\n{}", process.stdout(), process.stderr());
        let start = printed.find("curl ")?;
        let lines: Vec<&str> = printed[start..].lines().collect();
        let last = lines
            .iter()
            .position(|line| !line.trim_end().ends_with('\\'))?;
        Some(lines[..=last].join("\n"))
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn demo_prints_a_curl_that_logs_in() {
    let installation = installation();
    for start in ["first", "second"] {
        let (mut process, http, ops) = demo(&installation);
        wait_until_ready(&mut process, &ops).await;
        let curl = printed_curl(&mut process).await;
        assert!(
            curl.contains(http.address()) && curl.contains("/api/login"),
            "{curl}"
        );
        let output = clean_command("sh")
            .args(["-c", &curl])
            .output()
            .expect("sh");
        let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
        let json = stdout.find('{').map(|start| {
            serde_json::Deserializer::from_str(&stdout[start..])
                .into_iter::<Value>()
                .next()
        });
        let Some(Some(Ok(answer))) = json else {
            panic!("{start}: {curl}\n{output:?}")
        };
        assert_eq!(answer["success"], json!(true), "{start}: {curl}");
        let count = |entries: &Value| entries.as_object().map_or(0, serde_json::Map::len);
        assert!(
            count(&answer["data"]["cc.users"]) > 1 && count(&answer["data"]["cc.projects"]) > 0,
            "{start}: the demo has too few users or projects"
        );
        process.terminate();
        process.wait_for_exit(COMMAND).await.assert_success();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn second_demo_on_the_same_directory_is_rejected() {
    let installation = installation();
    let (mut first, http, ops) = demo(&installation);
    wait_until_ready(&mut first, &ops).await;
    let (mut second, ..) = demo(&installation);
    let output = second
        .wait_for_exit(Duration::from_secs(10))
        .await
        .assert_failure(1);
    let directory = installation.path().join("data").display().to_string();
    assert!(output.stderr.contains(&directory), "{output}");
    assert!(first.is_running());
    assert_eq!(http.status("/api/ping").await, Some(200));
    // A killed demo must not keep the directory locked.
    first.kill();
    let (mut third, _, ops) = demo(&installation);
    wait_until_ready(&mut third, &ops).await;
}
