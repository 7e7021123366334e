//! Tests `kill -9`: acknowledged changes are kept, and calls that wait for the killed process
//! return 503.

use std::time::Duration;

use doorward_tests::{
    App, Backend, PASSWORD, Response, Services, eventually,
    installation::SERVICE_TOKEN,
    load::{Load, Request},
    on_both_databases, ports,
    services::Role::{self, Auth, Directory},
    sql::{count_lock_waiters, lock_table},
};
use serde_json::json;
use tokio::task::JoinHandle;

use crate::grpc::contract::is_revoked;

on_both_databases![
    acknowledged_writes_survive_a_kill,
    commit_is_kept_when_every_service_is_killed,
    killed_auth_is_503_under_load_and_recovers,
    killed_directory_is_503_under_load_and_recovers,
    login_in_progress_when_auth_is_killed_is_503,
];

/// Maximum time until the gateway has reconnected to a peer.
const RECOVERY_TIMEOUT: Duration = Duration::from_secs(20);
/// A lost connection is reported immediately, whereas the deadline of a call would take ten
/// seconds.
const AT_ONCE: Duration = Duration::from_secs(5);

async fn acknowledged_writes_survive_a_kill(backend: Backend) {
    let auth = ports::free_address();
    let settings = [
        ("DOORWARD_AUTH_LISTEN", auth.as_str()),
        ("DOORWARD_SERVICE_TOKEN", SERVICE_TOKEN),
    ];
    let mut app = App::with_settings(backend, &settings).await;
    let ann = app.user("ann").await;
    let project = app.installation.create_project("ann", "Herbarium").await;
    app.user("ben").await;
    app.installation.add_member(&project, "ben").await;
    let ben = app.http.login("ben", PASSWORD).await;
    app.installation.change_user("deactivate", "ben").await;

    app.restart().await;

    let (result, data) = app.http.login("ann", PASSWORD).await.success();
    assert_eq!(result["user_projects"], json!({&project: ["owner"]}));
    assert_eq!(
        data["cc.projects_members"].as_array().map(Vec::len),
        Some(2)
    );
    assert_eq!(ann.init().await.status, 200);
    app.http.login("ben", PASSWORD).await.assert_unknown_user();
    // The revocation is not lost either, even if auth had not received the change when it was
    // killed.
    app.http.init(&ben.token()).await.assert_unauthenticated();
    // Init also rejects inactive users, so only auth shows that the token was revoked.
    eventually("a revocation", RECOVERY_TIMEOUT, async || {
        is_revoked(&auth, &ben.token()).await.then_some(())
    })
    .await;
}

async fn commit_is_kept_when_every_service_is_killed(backend: Backend) {
    let mut split = Services::start(backend).await;
    split.installation.create_user("ann").await;
    for role in Role::ALL {
        split.kill(role);
    }
    split.start_all().await;
    assert_eq!(split.http.login("ann", PASSWORD).await.status, 200);
}

async fn killed_auth_is_503_under_load_and_recovers(backend: Backend) {
    killed_peer_is_503_and_recovers(backend, Auth).await;
}

async fn killed_directory_is_503_under_load_and_recovers(backend: Backend) {
    killed_peer_is_503_and_recovers(backend, Directory).await;
}

async fn killed_peer_is_503_and_recovers(backend: Backend, role: Role) {
    let mut split = Services::start(backend).await;
    split.installation.create_user("ann").await;
    let token = split.http.login("ann", PASSWORD).await.token();
    let load: Vec<Load> = (0..3).map(|_| Load::start(&split.http, &token)).collect();
    for _ in 0..3 {
        split.kill(role);
        eventually("503", AT_ONCE, async || {
            (split.http.login("ann", PASSWORD).await.status == 503).then_some(())
        })
        .await;
        split.start_service(role);
        split.ready(role).await;
        works_again(&split, &token).await;
    }
    for load in load {
        for (request, count) in load.stop().await {
            assert!(count.answered > 0, "{request:?}: {count:?}");
            assert!(
                count.unavailable > 0 || request == Request::BadToken,
                "{request:?}: {count:?}"
            );
        }
    }
}

async fn login_in_progress_when_auth_is_killed_is_503(backend: Backend) {
    let mut split = Services::prepare(backend).await;
    split.installation = split.installation.with(&[
        ("DOORWARD_HASH_WORKERS", "1"),
        ("DOORWARD_ARGON2_MEMORY_KIB", "65536"),
        ("DOORWARD_ARGON2_PASSES", "8"),
    ]);
    split.start_all().await;
    split.installation.create_user("ann").await;
    let token = split.http.login("ann", PASSWORD).await.token();
    let logins: Vec<_> = [
        ("ann", PASSWORD),
        ("ann", "a wrong password"),
        ("nobody", PASSWORD),
    ]
    .map(|(username, password)| tokio::spawn(split.http.login_call(username, password).send()))
    .into();
    // There is one hash worker: if one login waits, another one is being hashed.
    let ops = split.ops(Auth);
    eventually("a queue", RECOVERY_TIMEOUT, async || {
        Some(ops.metric("doorward_hash_queue_length").await).filter(|length| *length >= 1.0)
    })
    .await;

    split.kill(Auth);

    for login in logins {
        answer(login).await.assert_unavailable();
    }
    split.start_service(Auth);
    split.ready(Auth).await;
    works_again(&split, &token).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn query_that_is_running_when_directory_is_killed_is_503() {
    let mut split = Services::start(Backend::Postgres).await;
    split.installation.create_user("ann").await;
    let token = split.http.login("ann", PASSWORD).await.token();
    // The change invalidates the cached init, so the next init needs a query.
    split.installation.create_project("ann", "Herbarium").await;
    let database = split.installation.databases.directory.clone();
    let lock = lock_table(&database, "users");
    let calls = [
        split.http.login_call("ann", PASSWORD),
        split.http.get("/api/init").bearer(&token),
    ];
    let calls = calls.map(|call| tokio::spawn(call.send()));
    eventually("queries that wait", RECOVERY_TIMEOUT, async || {
        (count_lock_waiters(&database) == 2).then_some(())
    })
    .await;

    split.kill(Directory);

    for call in calls {
        answer(call).await.assert_unavailable();
    }
    drop(lock);
    split.start_service(Directory);
    split.ready(Directory).await;
    works_again(&split, &token).await;
}

async fn answer(call: JoinHandle<Response>) -> Response {
    tokio::time::timeout(AT_ONCE, call)
        .await
        .expect("an answer at once")
        .expect("an answer")
}

/// Waits until logins and inits succeed; until then they must return 503.
async fn works_again(split: &Services, token: &str) {
    eventually("a login and an init", RECOVERY_TIMEOUT, async || {
        let answers = [
            split.http.login("ann", PASSWORD).await,
            split.http.init(token).await,
        ];
        for refused in answers.iter().filter(|answer| answer.status != 200) {
            refused.assert_unavailable();
        }
        answers
            .iter()
            .all(|answer| answer.status == 200)
            .then_some(())
    })
    .await;
}
