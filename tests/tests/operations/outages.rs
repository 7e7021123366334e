//! Tests unavailable services: calls that need them return 503, other calls work, and the services
//! recover by themselves.

use std::time::Duration;

use doorward_tests::{
    Backend, PASSWORD, Services, eventually, on_both_databases,
    services::Role::{self, Auth, Directory, Gateway},
    sql::{execute, texts},
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

async fn peer_outage_is_503_and_recovers(backend: Backend, role: Role) {
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
    peer_outage_is_503_and_recovers(backend, Auth).await;
}

async fn logins_without_directory_are_503_and_recover(backend: Backend) {
    peer_outage_is_503_and_recovers(backend, Directory).await;
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
    // Auth starts before the directory, whose changes it follows.
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
    wait_until_revoked(&split, &token, Duration::from_secs(1)).await;
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
    wait_until_revoked(&split, &token, RECOVERY_TIMEOUT).await;
    wait_for_login(&split).await;
    split.http.init(&token).await.assert_unauthenticated();
}

async fn auth_checks_every_user_when_its_cursor_expired(backend: Backend) {
    let mut split = Services::with(backend, &[("DOORWARD_FEED_RETENTION", "1s")]).await;
    let ann = split.user("ann").await;
    let ben = split.user("ben").await;
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
    wait_until_revoked(&split, &ann.token, RECOVERY_TIMEOUT).await;
    wait_for_init(&split, &ben.token).await;
    assert_eq!(robot.auth().await.status, 200);
    // Later changes are followed as usual.
    split.installation.change_user("deactivate", "ben").await;
    wait_until_revoked(&split, &ben.token, RECOVERY_TIMEOUT).await;
}

/// Simulates a `user delete` that was killed before it had deleted the password.
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
    let hash = stored("password_hash").remove(0);
    let updated_at = stored("updated_at").remove(0);
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
    // Auth receives the deletion immediately, or only after its restart.
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
        // The tokens are revoked in the same transaction that would have deleted the password.
        wait_until_revoked(&split, &token, RECOVERY_TIMEOUT).await;
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

/// Waits until the token is revoked in auth and in the gateway. A 401 of init alone would not prove
/// that, because init also rejects inactive users.
async fn wait_until_revoked(split: &Services, token: &str, within: Duration) {
    let is_refused = async || (split.http.init(token).await.status == 401).then_some(());
    eventually("401", within, is_refused).await;
    eventually("a revocation", within, async || {
        is_revoked(&split.auth, token).await.then_some(())
    })
    .await;
    split.http.init(token).await.assert_unauthenticated();
}
