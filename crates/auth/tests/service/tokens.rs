//! Tests of the calls of other services about tokens.

use std::time::Duration;

use doorward_auth::{KeyState, Keys, audit::Origin};
use doorward_domain::{Clock, ErrorCode, Gid, IdGenerator, RandomIdGenerator};
use doorward_rpc::{
    Channel, RpcError,
    auth::v1::{
        Actor, FindApiKeyRequest, GetApiKeyRequest, GetPublicKeysRequest, RevokeTokenRequest,
        TokenKind, VerifyApiKeyRequest, VerifyTokenRequest, VerifyTokenResponse,
        auth_client::AuthClient,
    },
};

use crate::fixture::{CHEAP, Fixture, START_SECONDS, code, on_both_databases, sealer};

const PASSWORD: &str = "correct horse";
const ADDRESS: &str = "192.0.2.1";

async fn verify(
    client: &AuthClient<Channel>,
    token: &str,
) -> Result<VerifyTokenResponse, RpcError> {
    Ok(client
        .clone()
        .verify_token(VerifyTokenRequest {
            token: token.to_owned(),
        })
        .await?
        .into_inner())
}

impl Fixture {
    async fn verify(&self, token: &str) -> Result<VerifyTokenResponse, RpcError> {
        verify(&self.client, token).await
    }

    async fn revoke(&self, token: &str, all_logins: bool) -> Result<(), RpcError> {
        let request = RevokeTokenRequest {
            token: token.to_owned(),
            all_logins,
            client_address: ADDRESS.to_owned(),
        };
        self.client.clone().revoke_token(request).await?;
        Ok(())
    }

    /// Logs in with the API key of a user and returns the token.
    async fn log_in_by_key(&self, user: Gid, project: Gid) -> String {
        let mut client = self.client.clone();
        let actor = Some(Actor {
            user_gid: None,
            client_address: ADDRESS.to_owned(),
        });
        let get = GetApiKeyRequest {
            user_gid: user.to_string(),
            project_gid: project.to_string(),
            actor,
        };
        let api_key = client.get_api_key(get).await.unwrap().into_inner().api_key;
        let find = FindApiKeyRequest {
            api_key: api_key.clone(),
            client_address: ADDRESS.to_owned(),
        };
        let found = client
            .find_api_key(find)
            .await
            .unwrap()
            .into_inner()
            .user_gid;
        assert_eq!(found, Some(user.to_string()));
        let verify = VerifyApiKeyRequest {
            api_key,
            project_gid: project.to_string(),
            user_gid: found,
            user_checked_at: self.clock.now().as_micros(),
            client_address: ADDRESS.to_owned(),
        };
        client
            .verify_api_key(verify)
            .await
            .unwrap()
            .into_inner()
            .token
    }
}

#[tokio::test]
async fn valid_token_returns_all_claims_and_others_are_rejected() {
    for fixture in on_both_databases(CHEAP).await {
        let user = fixture.user(PASSWORD).await;
        let first = fixture.log_in(Some(user), PASSWORD).await.unwrap();
        fixture.clock.advance(Duration::from_secs(100));
        let token = fixture.renew(&first).await.unwrap();
        let claims = fixture.claims(&token).await;
        let expected = VerifyTokenResponse {
            subject: user.to_string(),
            kind: TokenKind::User.into(),
            project_gid: None,
            sid: claims.sid,
            jti: claims.jti,
            auth_time: START_SECONDS,
            issued_at: START_SECONDS + 100,
            expires_at: START_SECONDS + 3700,
        };
        assert_eq!(fixture.verify(&token).await.unwrap(), expected);

        let user = RandomIdGenerator.new_gid();
        let project = RandomIdGenerator.new_gid();
        let api_token = fixture.log_in_by_key(user, project).await;
        let verified = fixture.verify(&api_token).await.unwrap();
        assert_eq!(
            (verified.kind(), verified.subject),
            (TokenKind::Api, user.to_string())
        );
        assert_eq!(verified.project_gid, Some(project.to_string()));

        for bad in [
            "",
            "garbage",
            &token[1..],
            &format!("Bearer {token}"),
            &token.replace('.', ".."),
        ] {
            assert_eq!(
                code(fixture.verify(bad).await),
                ErrorCode::Unauthenticated,
                "{bad}"
            );
            assert_eq!(
                code(fixture.revoke(bad, true).await),
                ErrorCode::Unauthenticated,
                "{bad}"
            );
        }
        fixture.clock.advance(Duration::from_secs(3599));
        fixture.verify(&token).await.unwrap();
        fixture.clock.advance(Duration::from_secs(1));
        assert_eq!(
            code(fixture.verify(&token).await),
            ErrorCode::Unauthenticated,
            "expired"
        );
        assert_eq!(
            code(fixture.revoke(&token, false).await),
            ErrorCode::Unauthenticated,
            "expired"
        );
    }
}

#[tokio::test]
async fn revocation_covers_one_login_or_all_logins() {
    for fixture in on_both_databases(CHEAP).await {
        let ann = fixture.user(PASSWORD).await;
        let ben = fixture.user(PASSWORD).await;
        let log_in = async |user| fixture.log_in(Some(user), PASSWORD).await.unwrap();
        let first = log_in(ann).await;
        let other = log_in(ann).await;
        let stranger = log_in(ben).await;
        let renewed = fixture.renew(&first).await.unwrap();
        fixture.revoke(&renewed, false).await.unwrap();
        for token in [&first, &renewed] {
            assert_eq!(
                code(fixture.verify(token).await),
                ErrorCode::Unauthenticated
            );
            assert_eq!(code(fixture.renew(token).await), ErrorCode::Unauthenticated);
            assert_eq!(
                code(fixture.revoke(token, true).await),
                ErrorCode::Unauthenticated
            );
        }
        fixture.verify(&other).await.unwrap();

        // All in one second: logins after a revocation are dated ahead, and can be revoked too.
        for round in 1..4 {
            let token = log_in(ann).await;
            fixture.clock.advance(Duration::from_millis(10));
            fixture.revoke(&token, true).await.unwrap();
            fixture.clock.advance(Duration::from_millis(10));
            assert_eq!(
                code(fixture.verify(&token).await),
                ErrorCode::Unauthenticated
            );
            let [one, two] = [log_in(ann).await, log_in(ann).await];
            assert_eq!(
                fixture.verify(&one).await.unwrap().auth_time,
                START_SECONDS + round
            );
            fixture.revoke(&one, false).await.unwrap();
            assert_eq!(code(fixture.verify(&one).await), ErrorCode::Unauthenticated);
            fixture.renew(&two).await.unwrap();
        }
        assert_eq!(
            code(fixture.verify(&other).await),
            ErrorCode::Unauthenticated
        );
        fixture.verify(&stranger).await.unwrap();
    }
}

#[tokio::test]
async fn revocation_requires_a_client_address() {
    for fixture in on_both_databases(CHEAP).await {
        let user = fixture.user(PASSWORD).await;
        let token = fixture.log_in(Some(user), PASSWORD).await.unwrap();
        for address in ["", "localhost", "192.0.2.1:80"] {
            let request = RevokeTokenRequest {
                token: token.clone(),
                all_logins: true,
                client_address: address.to_owned(),
            };
            let rejected = fixture
                .client
                .clone()
                .revoke_token(request)
                .await
                .map_err(RpcError::from);
            assert_eq!(code(rejected), ErrorCode::InvalidRequest, "{address}");
        }
        fixture.verify(&token).await.unwrap();
    }
}

#[tokio::test]
async fn revocation_reaches_another_process_within_a_second() {
    for fixture in on_both_databases(CHEAP).await {
        let second = fixture.second().await;
        let user = fixture.user(PASSWORD).await;
        let token = fixture.log_in(Some(user), PASSWORD).await.unwrap();
        verify(&second, &token).await.unwrap();
        fixture.revoke(&token, false).await.unwrap();
        let rejected = async { while verify(&second, &token).await.is_ok() {} };
        tokio::time::timeout(Duration::from_secs(1), rejected)
            .await
            .unwrap();
        // The revocation is also known to a process that starts later.
        assert_eq!(
            code(verify(&fixture.second().await, &token).await),
            ErrorCode::Unauthenticated
        );
    }
}

#[tokio::test]
async fn public_keys_are_the_verifying_keys() {
    for fixture in on_both_databases(CHEAP).await {
        let kids = async || {
            let response = fixture
                .client
                .clone()
                .get_public_keys(GetPublicKeysRequest {})
                .await
                .unwrap()
                .into_inner();
            let keys = response.keys.unwrap().keys;
            assert!(keys.iter().all(|key| key.x.len() == 32));
            let mut kids: Vec<String> = keys.into_iter().map(|key| key.kid).collect();
            kids.sort_unstable();
            kids
        };
        let lifetime = Duration::from_secs(3600);
        let keys = Keys::new(
            fixture.test.database.clone(),
            fixture.clock.clone(),
            sealer(7),
            lifetime,
        );
        let wait_for_keys = async |expected: &[&doorward_auth::SigningKey]| {
            let mut expected: Vec<String> = expected.iter().map(|key| key.kid.clone()).collect();
            expected.sort_unstable();
            let are_known = async { while kids().await != expected {} };
            tokio::time::timeout(Duration::from_secs(10), are_known)
                .await
                .unwrap();
        };
        assert_eq!(kids().await.len(), 2);
        let rotated = keys.rotate(Origin::command_line()).await.unwrap();
        assert_eq!(rotated.len(), 3);
        wait_for_keys(&rotated.iter().collect::<Vec<_>>()).await;
        let previous = rotated
            .iter()
            .find(|key| key.state == KeyState::Previous)
            .unwrap();
        keys.retire(&previous.kid, Origin::command_line())
            .await
            .unwrap();
        wait_for_keys(
            &rotated
                .iter()
                .filter(|key| key.kid != previous.kid)
                .collect::<Vec<_>>(),
        )
        .await;
    }
}
