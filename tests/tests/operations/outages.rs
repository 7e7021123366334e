//! Services that are away: 503 for what needs them, all the rest goes on, and back to normal by itself.

use std::time::Duration;

use doorward_tests::{
    Backend, PASSWORD, Services,
    backend::{execute, texts},
    eventually, on_both_databases,
    services::Role::{self, Auth, Directory, Gateway},
};
use serde_json::json;

use crate::{
    grpc::contract::is_revoked,
    login::foreign_hashes::{DJANGO, FOREIGN_PASSWORD, import},
};

on_both_databases![
    logins_without_auth_are_503_and_recover,
    logins_without_directory_are_503_and_recover,
    peers_may_start_after_the_gateway,
    gateway_that_restarts_accepts_the_tokens_of_before,
    three_processes_notice_a_deactivated_user_within_a_second,
    auth_applies_changes_made_while_it_was_down,
    auth_checks_every_user_when_its_cursor_expired,
    auth_deletes_the_password_that_a_deleted_user_left_behind,
    auth_keeps_the_password_of_a_reimported_user,
];

const RECOVERY_TIMEOUT: Duration = Duration::from_secs(20);

async fn wait_for_login(split: &Services) -> String {
    eventually("a login", RECOVERY_TIMEOUT, async || {
        let answer = split.http.login("ann", PASSWORD).await;
        if answer.status != 200 {
            answer.assert_unavailable();
            return None;
        }
        Some(answer.token())
    })
    .await
}

async fn wait_for_init(split: &Services, token: &str) {
    eventually("an init", RECOVERY_TIMEOUT, async || {
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
    let mut split = Services::start(backend).await;
    split.installation.create_user("ann").await;
    let token = split.http.login("ann", PASSWORD).await.token();
    split.kill(role);
    for _ in 0..3 {
        split.http.login("ann", PASSWORD).await.assert_unavailable();
        split
            .http
            .login("ann", "a wrong password")
            .await
            .assert_unavailable();
        split
            .http
            .login("nobody", PASSWORD)
            .await
            .assert_unavailable();
        split.http.init(&token).await.assert_unavailable();
        split.http.init("garbage").await.assert_unauthenticated();
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
    wait_for_login(&split).await;
    wait_for_init(&split, &token).await;
    split.ready(Gateway).await;
}

async fn logins_without_auth_are_503_and_recover(backend: Backend) {
    a_peer_goes_and_comes_back(backend, Auth).await;
}

async fn logins_without_directory_are_503_and_recover(backend: Backend) {
    a_peer_goes_and_comes_back(backend, Directory).await;
}

async fn peers_may_start_after_the_gateway(backend: Backend) {
    let mut split = Services::prepare(backend).await;
    split.installation.create_user("ann").await;
    split.start_service(Gateway);
    eventually("a ping", doorward_tests::app::START_TIMEOUT, async || {
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
    let token = wait_for_login(&split).await;
    wait_for_init(&split, &token).await;
    for role in [Auth, Gateway] {
        split.ready(role).await;
    }
}

async fn gateway_that_restarts_accepts_the_tokens_of_before(backend: Backend) {
    let mut split = Services::start(backend).await;
    split.installation.create_user("ann").await;
    let token = split.http.login("ann", PASSWORD).await.token();
    split.kill(Gateway);
    assert_eq!(split.http.status("/api/ping").await, None);
    split.start_service(Gateway);
    split.ready(Gateway).await;
    assert_eq!(split.http.init(&token).await.status, 200);
}

async fn three_processes_notice_a_deactivated_user_within_a_second(backend: Backend) {
    let split = Services::start(backend).await;
    split.installation.create_user("ann").await;
    let token = split.http.login("ann", PASSWORD).await.token();
    split.installation.change_user("deactivate", "ann").await;
    refused(&split, &token, Duration::from_secs(1)).await;
}

async fn auth_applies_changes_made_while_it_was_down(backend: Backend) {
    let mut split = Services::start(backend).await;
    split.installation.create_user("ann").await;
    let token = split.http.login("ann", PASSWORD).await.token();
    split.kill(Auth);
    split.installation.change_user("deactivate", "ann").await;
    split.installation.change_user("activate", "ann").await;
    split.start_service(Auth);
    split.ready(Auth).await;
    refused(&split, &token, RECOVERY_TIMEOUT).await;
    wait_for_login(&split).await;
    split.http.init(&token).await.assert_unauthenticated();
}

async fn auth_checks_every_user_when_its_cursor_expired(backend: Backend) {
    let mut split = Services::with(backend, &[("DOORWARD_FEED_RETENTION", "1s")]).await;
    let (ann, ben) = (split.user("ann").await, split.user("ben").await);
    let project = split.installation.create_project("ben", "One").await;
    let robot = ben.create_api_user(&project, "Robot").await;
    split.kill(Auth);
    split.installation.change_user("deactivate", "ann").await;
    let directory = split.installation.databases.directory.clone();
    eventually("nothing left of the feed", RECOVERY_TIMEOUT, async || {
        texts(&directory, "SELECT data_key AS text FROM feed_changes")
            .is_empty()
            .then_some(())
    })
    .await;
    split.start_service(Auth);
    split.ready(Auth).await;
    refused(&split, &ann.token, RECOVERY_TIMEOUT).await;
    wait_for_init(&split, &ben.token).await;
    assert_eq!(robot.auth().await.status, 200);
    // And goes on from there.
    split.installation.change_user("deactivate", "ben").await;
    refused(&split, &ben.token, RECOVERY_TIMEOUT).await;
}

/// As when `user delete` was killed in the middle.
async fn auth_deletes_the_password_that_a_deleted_user_left_behind(backend: Backend) {
    let mut split = Services::start(backend).await;
    let gid = split.installation.create_user("ann").await;
    let auth = split.installation.databases.auth.clone();
    let stored = |column: &str| {
        texts(
            &auth,
            &format!("SELECT CAST({column} AS TEXT) AS text FROM credentials"),
        )
    };
    let (hash, updated_at) = (
        stored("password_hash").remove(0),
        stored("updated_at").remove(0),
    );
    split.kill(Auth);
    split.installation.change_user("delete", "ann").await;
    assert_eq!(stored("user_gid"), [] as [String; 0]);
    execute(
        &auth,
        &format!("INSERT INTO credentials VALUES ('{gid}', '{hash}', {updated_at})"),
    );
    split.start_service(Auth);
    split.ready(Auth).await;
    eventually("no password", RECOVERY_TIMEOUT, async || {
        stored("user_gid").is_empty().then_some(())
    })
    .await;
}

async fn auth_keeps_the_password_of_a_reimported_user(backend: Backend) {
    let mut split = Services::start(backend).await;
    let gid = split.installation.create_user("ann").await;
    let again = json!({"gid": gid, "username": "ann", "password_hash": DJANGO});
    let mut password = PASSWORD;
    // Auth hears of it at once, or much later.
    for is_away in [false, true, false] {
        let token = split.http.login("ann", password).await.token();
        if is_away {
            split.kill(Auth);
        }
        split.installation.change_user("delete", "ann").await;
        import(&split.installation, std::slice::from_ref(&again))
            .await
            .assert_success();
        if is_away {
            split.start_service(Auth);
            split.ready(Auth).await;
        }
        // In the transaction in which the password would have gone.
        refused(&split, &token, RECOVERY_TIMEOUT).await;
        password = FOREIGN_PASSWORD;
        let (result, _) = split.http.login("ann", password).await.success();
        assert_eq!(result["user"], json!(gid));
        split
            .http
            .login("ann", PASSWORD)
            .await
            .assert_unknown_user();
    }
}

/// The token is revoked, in auth and on the gateway. Init alone would not show it: it refuses inactive users by itself.
async fn refused(split: &Services, token: &str, within: Duration) {
    let is_refused = async || (split.http.init(token).await.status == 401).then_some(());
    eventually("401", within, is_refused).await;
    eventually("a revocation", within, async || {
        is_revoked(&split.auth, token).await.then_some(())
    })
    .await;
    split.http.init(token).await.assert_unauthenticated();
}
