//! Refused authorizations: counted and logged.

use std::time::Duration;

use doorward_tests::{App, Backend, Split, eventually, on_both_databases, split::Role};
use serde_json::json;

on_both_databases![refused_authorizations_are_counted_and_logged];

const COUNTER: &str = "doorward_authorization_denied_total";

async fn refused_authorizations_are_counted_and_logged(backend: Backend) {
    let app = App::start(backend).await;
    let (ann, ben) = (app.user("ann").await, app.user("ben").await);
    let project = app.installation.create_project("ann", "Herbarium").await;
    let text = app.ops.get("/metrics").send().await.text();
    assert!(text.lines().any(|line| line == format!("{COUNTER} 0")), "{text}");
    ann.init().await.success();
    app.http.init("garbage").await.assert_denied();
    app.http.get("/api/init").send().await.assert_denied();
    ann.call("/api/nothing", &json!({})).await.assert_error(404, "Not found", &json!({}));
    assert!((app.ops.metric(COUNTER).await - 0.0).abs() < 0.1);
    assert!(!app.process.stderr().contains("authorization denied"));

    let call = ben.http.post(&format!("/api/p/{project}/members/get")).bearer(&ben.token);
    call.json(&json!({"member": ben.gid})).header("x-request-id", "denial-1").send().await.assert_forbidden();
    ben.call("/api/projects/delete", &json!({"project": project})).await.assert_forbidden();
    app.http.login("ann", "a wrong password").await.assert_unknown_user();
    assert!((app.ops.metric(COUNTER).await - 3.0).abs() < 0.1);
    let logged = eventually("the log", Duration::from_secs(10), async || {
        let log = app.process.stderr();
        let lines: Vec<String> =
            log.lines().filter(|line| line.contains("authorization denied")).map(str::to_owned).collect();
        (lines.len() == 3).then_some(lines)
    })
    .await;
    let first = &logged[0];
    assert!(first.contains("INFO") && first.contains("denial-1") && first.contains(&ben.gid), "{first}");
    assert!(logged.iter().all(|line| !line.contains(&ben.token) && !line.contains("wrong password")), "{logged:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_gateway_counts_denials_from_other_processes() {
    let split = Split::start(Backend::Sqlite).await;
    let ann = split.user("ann").await;
    ann.call("/sync/get", &json!({"project": super::api_keys::NO_GID})).await.assert_forbidden();
    assert!((split.ops(Role::Gateway).metric(COUNTER).await - 1.0).abs() < 0.1);
}
