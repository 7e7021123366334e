//! Services that are away: 503 for what needs them, all the rest goes on, and back to normal by itself.

use std::time::Duration;

use doorward_tests::{
    Backend, PASSWORD, Split, eventually, on_both_databases,
    split::Role::{self, Auth, Directory, Gateway},
};

on_both_databases![
    without_auth_logins_are_503_and_come_back,
    without_directory_logins_are_503_and_come_back,
    peers_may_start_after_the_gateway,
    a_gateway_that_restarts_accepts_the_tokens_of_before,
    three_processes_notice_a_deactivated_user_within_a_second,
    auth_acts_on_what_happened_while_it_was_away,
];

const RECOVERY: Duration = Duration::from_secs(5);

async fn logs_in_again(split: &Split) -> String {
    eventually("a login", RECOVERY, async || {
        let answer = split.http.login("ann", PASSWORD).await;
        if answer.status != 200 {
            answer.assert_unavailable();
            return None;
        }
        Some(answer.token())
    })
    .await
}

async fn init_works_again(split: &Split, token: &str) {
    eventually("an init", RECOVERY, async || {
        let answer = split.http.init(token).await;
        if answer.status != 200 {
            answer.assert_unavailable();
            return None;
        }
        Some(())
    })
    .await;
}

async fn a_peer_goes_and_comes_back(backend: Backend, role: Role) {
    let mut split = Split::start(backend).await;
    split.installation.create_user("ann").await;
    let token = split.http.login("ann", PASSWORD).await.token();
    split.kill(role);
    for _ in 0..3 {
        split.http.login("ann", PASSWORD).await.assert_unavailable();
        split.http.login("ann", "a wrong password").await.assert_unavailable();
        split.http.login("nobody", PASSWORD).await.assert_unavailable();
        split.http.init(&token).await.assert_unavailable();
        split.http.init("garbage").await.assert_denied();
        assert_eq!(split.http.status("/api/ping").await, Some(200));
        assert_eq!(split.http.status("/api/languages/get").await, Some(200));
    }
    assert_eq!(split.ops(Gateway).status("/health/live").await, Some(200));
    let ops = split.ops(Gateway);
    eventually("not ready", Duration::from_secs(15), async || {
        (ops.status("/health/ready").await == Some(503)).then_some(())
    })
    .await;

    split.start_service(role);
    split.ready(role).await;
    logs_in_again(&split).await;
    init_works_again(&split, &token).await;
    split.ready(Gateway).await;
}

async fn without_auth_logins_are_503_and_come_back(backend: Backend) {
    a_peer_goes_and_comes_back(backend, Auth).await;
}

async fn without_directory_logins_are_503_and_come_back(backend: Backend) {
    a_peer_goes_and_comes_back(backend, Directory).await;
}

async fn peers_may_start_after_the_gateway(backend: Backend) {
    let mut split = Split::prepare(backend).await;
    split.installation.create_user("ann").await;
    split.start_service(Gateway);
    eventually("a ping", doorward_tests::app::START, async || {
        (split.http.status("/api/ping").await == Some(200)).then_some(())
    })
    .await;
    split.http.login("ann", PASSWORD).await.assert_unavailable();
    assert_eq!(split.ops(Gateway).status("/health/ready").await, Some(503));
    // Auth before the directory that it follows.
    split.start_service(Auth);
    split.http.login("ann", PASSWORD).await.assert_unavailable();
    split.start_service(Directory);
    split.ready(Directory).await;
    let token = logs_in_again(&split).await;
    init_works_again(&split, &token).await;
    for role in [Auth, Gateway] {
        split.ready(role).await;
    }
}

async fn a_gateway_that_restarts_accepts_the_tokens_of_before(backend: Backend) {
    let mut split = Split::start(backend).await;
    split.installation.create_user("ann").await;
    let token = split.http.login("ann", PASSWORD).await.token();
    split.kill(Gateway);
    assert_eq!(split.http.status("/api/ping").await, None);
    split.start_service(Gateway);
    split.ready(Gateway).await;
    assert_eq!(split.http.init(&token).await.status, 200);
}

async fn three_processes_notice_a_deactivated_user_within_a_second(backend: Backend) {
    let split = Split::start(backend).await;
    split.installation.create_user("ann").await;
    let token = split.http.login("ann", PASSWORD).await.token();
    split.installation.change_user("deactivate", "ann").await;
    refused(&split, &token, Duration::from_secs(1)).await;
}

async fn auth_acts_on_what_happened_while_it_was_away(backend: Backend) {
    let mut split = Split::start(backend).await;
    split.installation.create_user("ann").await;
    let token = split.http.login("ann", PASSWORD).await.token();
    split.kill(Auth);
    split.installation.change_user("deactivate", "ann").await;
    split.installation.change_user("activate", "ann").await;
    split.start_service(Auth);
    split.ready(Auth).await;
    refused(&split, &token, RECOVERY).await;
    logs_in_again(&split).await;
    split.http.init(&token).await.assert_denied();
}

async fn refused(split: &Split, token: &str, within: Duration) {
    let is_refused = async || (split.http.init(token).await.status == 401).then_some(());
    eventually("401", within, is_refused).await;
    split.http.init(token).await.assert_denied();
}
