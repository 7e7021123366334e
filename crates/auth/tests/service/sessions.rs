//! Tests of the lifetime of a login: renewals, and the revocation by a new password.

use std::time::Duration;

use doorward_auth::{Password, audit::Origin};
use doorward_domain::{Clock, ErrorCode};
use doorward_rpc::auth::v1::{WatchTrustRequest, revocation::Target, watch_trust_response::Event};

use crate::fixture::{CHEAP, Fixture, START_SECONDS, code, on_both_databases};

#[tokio::test]
async fn renewals_keep_the_login_and_end_with_the_maximum_session() {
    for fixture in on_both_databases(CHEAP).await {
        let user = fixture.user("correct horse").await;
        let first = fixture.log_in(Some(user), "correct horse").await.unwrap();
        fixture.clock.advance(Duration::from_secs(3000));
        let second = fixture.renew(&first).await.unwrap();
        let old = fixture.claims(&first).await;
        let new = fixture.claims(&second).await;
        assert_eq!(
            (old.sid.as_str(), old.auth_time),
            (new.sid.as_str(), new.auth_time)
        );
        assert_eq!(
            (new.iat, new.exp),
            (START_SECONDS + 3000, START_SECONDS + 5400)
        );
        assert_ne!(old.jti, new.jti);
        fixture.clock.advance(Duration::from_secs(1000));
        assert_eq!(
            code(fixture.renew(&first).await),
            ErrorCode::Unauthenticated,
            "expired"
        );
        fixture.clock.advance(Duration::from_secs(1400));
        assert_eq!(
            code(fixture.renew(&second).await),
            ErrorCode::Unauthenticated,
            "the session is over"
        );
        assert_eq!(
            code(fixture.renew("garbage").await),
            ErrorCode::Unauthenticated
        );
    }
}

#[tokio::test]
async fn new_password_revokes_earlier_tokens_only() {
    for fixture in on_both_databases(CHEAP).await {
        let user = fixture.user("correct horse").await;
        let checked_at = fixture.clock.now();
        let old = fixture.log_in(Some(user), "correct horse").await.unwrap();
        fixture.clock.advance(Duration::from_millis(100));
        fixture
            .credentials
            .set_password(
                user,
                Password::parse("battery staple").unwrap(),
                Origin::command_line(),
            )
            .await
            .unwrap();
        let rejected = fixture
            .log_in_checked_at(Some(user), "battery staple", checked_at)
            .await;
        assert_eq!(
            code(rejected),
            ErrorCode::UnknownUser,
            "it began before the change"
        );
        fixture.clock.advance(Duration::from_millis(100));
        let new = fixture.log_in(Some(user), "battery staple").await.unwrap();
        let claims = fixture.claims(&new).await;
        assert_eq!(
            (claims.iat, claims.auth_time),
            (START_SECONDS, START_SECONDS + 1),
            "a login in the second of the revocation is dated ahead"
        );
        let revocation = wait_for_revocation(&fixture).await;
        assert_eq!(revocation, (user.to_string(), START_SECONDS + 1));
        assert_eq!(code(fixture.renew(&old).await), ErrorCode::Unauthenticated);
        fixture.renew(&new).await.unwrap();
    }
}

/// Returns the first revocation in the stream of trust data, from the snapshot or later.
async fn wait_for_revocation(fixture: &Fixture) -> (String, i64) {
    let mut trust = fixture
        .client
        .clone()
        .watch_trust(WatchTrustRequest {})
        .await
        .unwrap()
        .into_inner();
    let received = async {
        loop {
            let revocation = match trust.message().await.unwrap().unwrap().event.unwrap() {
                Event::Snapshot(snapshot) => snapshot.revocations.into_iter().next(),
                Event::Revocation(revocation) => Some(revocation),
                Event::Keys(_) | Event::Heartbeat(_) => None,
            };
            if let Some(revocation) = revocation
                && let Some(Target::Subject(subject)) = revocation.target
            {
                return (subject, revocation.not_before);
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(10), received)
        .await
        .unwrap()
}
