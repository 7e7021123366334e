//! Tests that denied authorizations are counted and logged, by the gateway and over gRPC.

use std::time::Duration;

use doorward_rpc::{
    auth::v1::{GetPublicKeysRequest, WatchTrustRequest},
    directory::v1::{Action, GetUserRequest, ListProjectsRequest, PublishRequest, PublishedRow},
};
use doorward_tests::{App, Backend, Services, eventually, on_both_databases, services::Role};
use serde_json::json;
use tonic::Code;

use crate::grpc::{
    contract::{GrpcClients, code, with_token},
    service_tokens,
};

on_both_databases![
    denied_authorizations_are_counted_and_logged,
    calls_denied_to_service_tokens_are_counted_and_logged
];

const COUNTER: &str = "doorward_authorization_denied_total";

async fn denied_authorizations_are_counted_and_logged(backend: Backend) {
    let app = App::start(backend).await;
    let ann = app.user("ann").await;
    let ben = app.user("ben").await;
    let project = app.installation.create_project("ann", "Herbarium").await;
    let text = app.ops.get("/metrics").send().await.text();
    assert!(
        text.lines().any(|line| line == format!("{COUNTER} 0")),
        "{text}"
    );
    ann.init().await.success();
    app.http.init("garbage").await.assert_unauthenticated();
    app.http
        .get("/api/init")
        .send()
        .await
        .assert_unauthenticated();
    ann.call("/api/nothing", &json!({}))
        .await
        .assert_error(404, "Not found", &json!({}));
    assert!((app.ops.metric(COUNTER).await - 0.0).abs() < 0.1);
    assert!(!app.process.stderr().contains("authorization denied"));

    let call = ben
        .http
        .post(&format!("/api/p/{project}/members/get"))
        .bearer(&ben.token);
    call.json(&json!({"member": ben.gid}))
        .header("x-request-id", "denial-1")
        .send()
        .await
        .assert_forbidden();
    ben.call("/api/projects/delete", &json!({"project": project}))
        .await
        .assert_forbidden();
    app.http
        .login("ann", "a wrong password")
        .await
        .assert_unknown_user();
    assert!((app.ops.metric(COUNTER).await - 3.0).abs() < 0.1);
    let logged = eventually("the log", Duration::from_secs(10), async || {
        let log = app.process.stderr();
        let lines: Vec<String> = log
            .lines()
            .filter(|line| line.contains("authorization denied"))
            .map(str::to_owned)
            .collect();
        (lines.len() == 3).then_some(lines)
    })
    .await;
    let first = &logged[0];
    assert!(
        first.contains("INFO") && first.contains("denial-1") && first.contains(&ben.gid),
        "{first}"
    );
    assert!(
        logged
            .iter()
            .all(|line| !line.contains(&ben.token) && !line.contains("wrong password")),
        "{logged:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn gateway_counts_denials_from_other_processes() {
    let split = Services::start(Backend::Sqlite).await;
    let ann = split.user("ann").await;
    ann.call(
        "/sync/get",
        &json!({"project": crate::api_keys::calls::UNKNOWN_GID}),
    )
    .await
    .assert_forbidden();
    assert!((split.ops(Role::Gateway).metric(COUNTER).await - 1.0).abs() < 0.1);
}

async fn calls_denied_to_service_tokens_are_counted_and_logged(backend: Backend) {
    let split = Services::start(backend).await;
    split.installation.create_user("ann").await;
    let herbarium = split.installation.create_project("ann", "Herbarium").await;
    let garden = split.installation.create_project("ann", "Garden").await;
    let reader = service_tokens::create(&split.installation, "reader", &["--scope", "read"]).await;
    let options = ["--scope", "publish", "--project", &herbarium];
    let publisher = service_tokens::create(&split.installation, "publisher", &options).await;
    let GrpcClients {
        mut auth,
        mut directory,
    } = GrpcClients::connect(&split).await;
    for role in [Role::Auth, Role::Directory] {
        let text = split.ops(role).get("/metrics").send().await.text();
        assert!(
            text.lines().any(|line| line == format!("{COUNTER} 0")),
            "{role:?}: {text}"
        );
    }

    // Allowed calls and unknown tokens are not counted.
    let list = ListProjectsRequest {
        after_project_gid: None,
        page_size: 1,
    };
    assert_eq!(
        code(directory.list_projects(with_token(list, &reader)).await),
        Code::Ok
    );
    let unknown = service_tokens::create(
        &doorward_tests::Installation::new(backend),
        "x",
        &["--scope", "verify"],
    )
    .await;
    assert_eq!(
        code(
            auth.get_public_keys(with_token(GetPublicKeysRequest {}, &unknown))
                .await
        ),
        Code::Unauthenticated
    );
    for role in [Role::Auth, Role::Directory] {
        assert!(split.ops(role).metric(COUNTER).await < 0.1, "{role:?}");
        assert!(
            !split
                .process(role)
                .stderr()
                .contains("authorization denied"),
            "{role:?}"
        );
    }

    assert_eq!(
        code(
            auth.get_public_keys(with_token(GetPublicKeysRequest {}, &reader))
                .await
        ),
        Code::PermissionDenied
    );
    assert_eq!(
        code(
            auth.watch_trust(with_token(WatchTrustRequest {}, &reader))
                .await
        ),
        Code::PermissionDenied
    );
    let get = GetUserRequest {
        user_gid: garden.clone(),
    };
    assert_eq!(
        code(directory.get_user(with_token(get, &publisher)).await),
        Code::PermissionDenied
    );
    let row = PublishedRow {
        action: Action::Insert.into(),
        data_type: "records".to_owned(),
        data_key: "r1".to_owned(),
    };
    let publish = PublishRequest {
        project_gid: garden,
        rows: vec![row],
    };
    assert_eq!(
        code(directory.publish(with_token(publish, &publisher)).await),
        Code::PermissionDenied
    );
    let reasons = [
        (
            Role::Auth,
            "reader",
            ["Auth/GetPublicKeys", "Auth/WatchTrust"],
            ["scope `verify`", "scope `verify`"],
        ),
        (
            Role::Directory,
            "publisher",
            ["Directory/GetUser", "Directory/Publish"],
            ["scope `read`", "name the project"],
        ),
    ];
    for (role, client, methods, reasons) in reasons {
        assert!(
            (split.ops(role).metric(COUNTER).await - 2.0).abs() < 0.1,
            "{role:?}"
        );
        let logged = eventually("the log", Duration::from_secs(10), async || {
            let log = split.process(role).stderr();
            let lines: Vec<String> = log
                .lines()
                .filter(|line| line.contains("authorization denied"))
                .map(str::to_owned)
                .collect();
            (lines.len() == 2).then_some(lines)
        })
        .await;
        for ((line, method), reason) in logged.iter().zip(methods).zip(reasons) {
            assert!(line.contains("INFO") && line.contains(client), "{line}");
            assert!(line.contains(method) && line.contains(reason), "{line}");
            assert!(
                !line.contains(&reader) && !line.contains(&publisher),
                "{line}"
            );
        }
    }
    assert!(split.ops(Role::Gateway).metric(COUNTER).await < 0.1);
}
