//! Tests of signing keys and the master key.

use std::time::Duration;

use doorward_auth::{Error, KeyState, Keys, audit::Origin};
use doorward_domain::Clock;
use doorward_token::Verifier;

use crate::fixture::{CHEAP, on_both_databases, sealer};

#[tokio::test]
async fn key_rotation_is_seamless_and_retired_keys_verify_nothing() {
    for fixture in on_both_databases(CHEAP).await {
        let user = fixture.user("correct horse").await;
        let before = fixture.keys().await;
        let old = fixture.log_in(Some(user), "correct horse").await.unwrap();
        let lifetime = Duration::from_secs(3600);
        let keys = Keys::new(
            fixture.test.database.clone(),
            fixture.clock.clone(),
            sealer(7),
            lifetime,
        );
        let rotated = keys.rotate(Origin::command_line()).await.unwrap();
        let kid = |state| {
            rotated
                .iter()
                .find(|key| key.state == state)
                .unwrap()
                .kid
                .clone()
        };
        assert_eq!(rotated.len(), 3);
        assert!(matches!(
            keys.retire(&kid(KeyState::Active), Origin::command_line())
                .await,
            Err(Error::KeyIsActive)
        ));
        assert!(matches!(
            keys.retire("nothing", Origin::command_line()).await,
            Err(Error::KeyNotFound)
        ));
        let new = loop {
            let token = fixture.log_in(Some(user), "correct horse").await.unwrap();
            if Verifier::new("doorward")
                .verify(&token, &before, fixture.clock.now())
                .is_ok()
                && token.split('.').next() != old.split('.').next()
            {
                break token;
            }
        };
        fixture.renew(&old).await.unwrap();
        keys.retire(&kid(KeyState::Previous), Origin::command_line())
            .await
            .unwrap();
        while fixture.renew(&old).await.is_ok() {}
        fixture.renew(&new).await.unwrap();
    }
}

#[tokio::test]
async fn start_with_another_master_key_fails() {
    for fixture in on_both_databases(CHEAP).await {
        let lifetime = Duration::from_secs(3600);
        let keys = Keys::new(
            fixture.test.database.clone(),
            fixture.clock.clone(),
            sealer(8),
            lifetime,
        );
        assert!(
            keys.create_missing()
                .await
                .unwrap_err()
                .to_string()
                .contains("master key")
        );
        assert!(keys.rotate(Origin::command_line()).await.is_err());
    }
}
