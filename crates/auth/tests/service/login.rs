//! Tests of logins with a password.

use std::sync::{Arc, atomic::AtomicI64};

use doorward_auth::{Auth, Dependencies, HashingConfig, MIGRATIONS};
use doorward_domain::{ErrorCode, IdGenerator, RandomIdGenerator};
use doorward_rpc::{
    Peer, RpcError, ServiceToken,
    auth::v1::{WatchTrustRequest, auth_client::AuthClient},
    server::Listeners,
};
use doorward_storage::testing::TestDatabase;
use tokio_util::sync::CancellationToken;

use crate::fixture::{
    CHEAP, FixedClock, START_SECONDS, code, config, no_directory, on_both_databases, sealer, start,
};

#[tokio::test]
async fn login_issues_a_token_with_the_documented_claims() {
    for fixture in on_both_databases(CHEAP).await {
        let user = fixture.user("correct horse").await;
        let claims = fixture
            .claims(&fixture.log_in(Some(user), "correct horse").await.unwrap())
            .await;
        assert_eq!(
            (claims.sub, claims.iat, claims.auth_time),
            (user, START_SECONDS, START_SECONDS)
        );
        assert_eq!(claims.exp, START_SECONDS + 3600);
        for (user, password) in [
            (Some(user), "correct horsf"),
            (Some(user), ""),
            (Some(user), "correct horse "),
            (Some(RandomIdGenerator.new_gid()), "correct horse"),
            (None, "correct horse"),
        ] {
            assert_eq!(
                code(fixture.log_in(user, password).await),
                ErrorCode::UnknownUser
            );
        }
        assert_eq!(
            code(fixture.log_in(Some(user), &"x".repeat(300)).await),
            ErrorCode::UnknownUser
        );
    }
}

#[tokio::test]
async fn full_hash_queue_is_rejected_immediately() {
    let slow = HashingConfig {
        memory_kib: 16 * 1024,
        passes: 8,
        worker_threads: 1,
        max_queued: 2,
        ..CHEAP
    };
    let fixture = start(TestDatabase::sqlite(&MIGRATIONS), slow).await;
    let user = fixture.user("correct horse").await;
    let logins = (0..20).map(|_| fixture.log_in(Some(user), "correct horse"));
    let answers = futures_util::future::join_all(logins).await;
    let rejected: Vec<&RpcError> = answers
        .iter()
        .filter_map(|answer| answer.as_ref().err())
        .collect();
    assert!(
        !rejected.is_empty() && rejected.len() < 20,
        "{} of 20",
        rejected.len()
    );
    assert!(
        rejected
            .iter()
            .all(|failure| failure.code == ErrorCode::Unavailable && failure.retry_after.is_some())
    );
}

#[tokio::test]
async fn calls_without_service_token_are_rejected() {
    let test = TestDatabase::sqlite(&MIGRATIONS);
    let deps = Dependencies {
        database: test.database.clone(),
        clock: Arc::new(FixedClock(AtomicI64::new(0))),
        ids: Arc::new(RandomIdGenerator),
        sealer: sealer(7),
        directory: no_directory(),
    };
    let auth = Auth::start(deps, config(CHEAP), CancellationToken::new())
        .await
        .unwrap();
    let (peer, incoming) = Peer::in_memory_pair();
    let token = ServiceToken::new(Some("sixteen-characters".to_owned().into()));
    tokio::spawn(auth.serve(
        Listeners {
            tcp: None,
            in_memory: Some(incoming),
        },
        token,
    ));
    for other in [None, Some("sixteen-characterS".to_owned().into())] {
        let mut client = AuthClient::new(peer.connect(&ServiceToken::new(other)).unwrap());
        let status = client.watch_trust(WatchTrustRequest {}).await.unwrap_err();
        assert_eq!(status.code(), tonic::Code::Unauthenticated);
    }
}
