//! Tests of the age of the directory's feed: with a stale one, no token is accepted.

use doorward_auth::MIGRATIONS;
use doorward_domain::ErrorCode;
use doorward_rpc::{
    RpcError,
    auth::v1::{GetPublicKeysRequest, RenewTokenRequest, VerifyTokenRequest, WatchTrustRequest},
};
use doorward_storage::testing::TestDatabase;
use tokio_util::sync::CancellationToken;

use crate::fixture::{CHEAP, config, no_directory, serve_with_directory, start};

#[tokio::test]
async fn tokens_are_not_accepted_while_the_feed_is_stale() {
    for test in TestDatabase::both(&MIGRATIONS) {
        let fixture = start(test, CHEAP).await;
        let ann = fixture.user("correct horse").await;
        let token = fixture.log_in(Some(ann), "correct horse").await.unwrap();
        fixture
            .client
            .clone()
            .verify_token(VerifyTokenRequest {
                token: token.clone(),
            })
            .await
            .unwrap();

        // A second replica on the same database that never reaches the directory.
        let shutdown = CancellationToken::new();
        let mut disconnected = serve_with_directory(
            &fixture.test,
            &fixture.clock,
            config(CHEAP),
            no_directory(),
            &shutdown,
        )
        .await;
        let code = |status| RpcError::from(status).code;
        let renewed = disconnected
            .renew_token(RenewTokenRequest {
                token: token.clone(),
            })
            .await;
        assert_eq!(code(renewed.unwrap_err()), ErrorCode::Unavailable);
        let verified = disconnected
            .verify_token(VerifyTokenRequest {
                token: token.clone(),
            })
            .await;
        assert_eq!(code(verified.unwrap_err()), ErrorCode::Unavailable);
        assert_eq!(
            code(
                disconnected
                    .watch_trust(WatchTrustRequest {})
                    .await
                    .unwrap_err()
            ),
            ErrorCode::Unavailable
        );
        // Public keys do not depend on revocations.
        disconnected
            .get_public_keys(GetPublicKeysRequest {})
            .await
            .unwrap();
        // The first replica still accepts tokens.
        fixture
            .client
            .clone()
            .renew_token(RenewTokenRequest { token })
            .await
            .unwrap();
        shutdown.cancel();
    }
}

#[tokio::test]
async fn trust_messages_carry_their_age() {
    let fixture = start(TestDatabase::sqlite(&MIGRATIONS), CHEAP).await;
    let mut stream = fixture
        .client
        .clone()
        .watch_trust(WatchTrustRequest {})
        .await
        .unwrap()
        .into_inner();
    for _ in 0..3 {
        let message = stream.message().await.unwrap().unwrap();
        assert!(message.age_milliseconds < 10_000, "{message:?}");
    }
}
