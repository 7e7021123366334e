//! Tests of several requests for codes at the same time: which are valid, which delay which, and
//! how many mails a mailbox receives.

use std::time::Duration;

use doorward_domain::{ErrorCode, Gid};
use futures_util::future::join_all;

use crate::{
    codes::{CodePair, Purpose, assert_wrong_code, on_both_databases_with_mail},
    fixture::{Fixture, code},
};

const PASSWORD: &str = "correct horse battery staple 9";
const HOME: &str = "2001:db8:7:7::1";
/// Another address of the same network as [`HOME`].
const ALSO_HOME: &str = "2001:db8:7:7:abcd::9";
const MINUTE: Duration = Duration::from_secs(60);

fn stranger(number: usize) -> String {
    format!("198.51.100.{number}")
}

/// Creates a user, and returns the purposes with that user.
async fn purposes(fixture: &Fixture) -> (Gid, [Purpose; 3]) {
    let user = fixture.user(PASSWORD).await;
    (
        user,
        [
            Purpose::Signup,
            Purpose::PasswordReset(user),
            Purpose::EmailChange(user),
        ],
    )
}

impl Fixture {
    async fn request_from_each(
        &self,
        purpose: Purpose,
        addresses: impl IntoIterator<Item = String>,
    ) -> Vec<CodePair> {
        let mut requests = Vec::new();
        for address in addresses {
            requests.push(self.request(purpose, &address).await.unwrap());
        }
        requests
    }

    /// Returns whether a request is valid: a wrong code then counts as a failed attempt. This can
    /// be called four times for a request, because the fifth failed attempt invalidates it.
    async fn is_request_valid(&self, purpose: Purpose, codes: &CodePair) -> bool {
        let failed =
            "SELECT '' AS id, CAST(COALESCE(SUM(failed_attempts), 0) AS TEXT) AS text FROM codes";
        let before = self.texts(failed).await;
        assert_wrong_code(
            self.confirm(purpose, &(codes.0.clone(), "AAAAAA".to_owned()))
                .await,
        );
        self.texts(failed).await != before
    }
}

#[tokio::test]
async fn sixth_request_invalidates_the_oldest_of_five() {
    for fixture in on_both_databases_with_mail().await {
        let (_, purposes) = purposes(&fixture).await;
        for purpose in purposes {
            // All requests from one network, and each from another.
            for same in [true, false] {
                let requests = fixture
                    .request_from_each(
                        purpose,
                        (1..=6).map(|number| stranger(if same { 1 } else { number })),
                    )
                    .await;
                assert!(
                    !fixture.is_request_valid(purpose, &requests[0]).await,
                    "{purpose:?}"
                );
                for codes in &requests[1..] {
                    assert!(
                        fixture.is_request_valid(purpose, codes).await,
                        "{purpose:?}"
                    );
                }
                fixture.clock.advance(60 * 60 * MINUTE);
            }
        }
    }
}

#[tokio::test]
async fn success_of_one_request_ends_the_others() {
    for fixture in on_both_databases_with_mail().await {
        let (_, purposes) = purposes(&fixture).await;
        for (purpose, position) in purposes
            .into_iter()
            .flat_map(|purpose| (0..5).map(move |position| (purpose, position)))
        {
            let requests = fixture
                .request_from_each(purpose, (1..=5).map(stranger))
                .await;
            fixture.confirm(purpose, &requests[position]).await.unwrap();
            for codes in &requests {
                assert_wrong_code(fixture.confirm(purpose, codes).await);
            }
            fixture.clock.advance(60 * 60 * MINUTE);
        }
    }
}

#[tokio::test]
async fn one_of_concurrent_requests_succeeds() {
    for fixture in on_both_databases_with_mail().await {
        let (_, purposes) = purposes(&fixture).await;
        for purpose in purposes {
            let requests = fixture
                .request_from_each(purpose, (1..=5).map(stranger))
                .await;
            let attempts = requests
                .iter()
                .cycle()
                .take(40)
                .map(|codes| fixture.confirm(purpose, codes));
            let results = join_all(attempts).await;
            assert_eq!(
                results.iter().filter(|result| result.is_ok()).count(),
                1,
                "{purpose:?}: {results:?}"
            );
        }
    }
}

#[tokio::test]
async fn request_from_a_known_network_is_never_invalidated_by_unknown_ones() {
    for fixture in on_both_databases_with_mail().await {
        let (user, purposes) = purposes(&fixture).await;
        for purpose in purposes.into_iter().skip(1) {
            fixture.log_in_from(user, PASSWORD, HOME).await.unwrap();
            let own = fixture.request(purpose, ALSO_HOME).await.unwrap();
            for number in 1..=8 {
                fixture.request(purpose, &stranger(number)).await.unwrap();
            }
            assert!(fixture.is_request_valid(purpose, &own).await, "{purpose:?}");
            // Later requests from the same network invalidate it, but only after those of
            // strangers.
            let later = fixture
                .request_from_each(purpose, vec![HOME.to_owned(); 4])
                .await;
            assert!(fixture.is_request_valid(purpose, &own).await, "{purpose:?}");
            // All five are from the known network, so a stranger's request is rejected.
            assert_eq!(
                code(fixture.request(purpose, &stranger(9)).await),
                ErrorCode::Throttled
            );
            let last = fixture.request(purpose, HOME).await.unwrap();
            assert!(
                !fixture.is_request_valid(purpose, &own).await,
                "{purpose:?}"
            );
            assert!(
                fixture.is_request_valid(purpose, &later[0]).await
                    && fixture.is_request_valid(purpose, &last).await
            );
            fixture.clock.advance(60 * 60 * MINUTE);
        }
    }
}

#[tokio::test]
async fn network_is_known_for_its_user_and_thirty_days() {
    for fixture in on_both_databases_with_mail().await {
        let (user, [_, reset, _]) = purposes(&fixture).await;
        let other = fixture.user(PASSWORD).await;
        fixture.log_in_from(other, PASSWORD, HOME).await.unwrap();
        fixture
            .log_in_from(user, PASSWORD, "192.0.2.77")
            .await
            .unwrap();
        fixture.clock.advance(30 * 24 * 60 * MINUTE);
        for address in [HOME, "192.0.2.77"] {
            let own = fixture.request(reset, address).await.unwrap();
            fixture
                .request_from_each(reset, (1..=5).map(stranger))
                .await;
            assert!(!fixture.is_request_valid(reset, &own).await, "{address}");
            fixture.clock.advance(60 * 60 * MINUTE);
        }
    }
}

/// Six networks make 40 requests each within an hour. During it, an owner at another network
/// receives codes that work, and the mailbox receives at most 60 mails.
#[tokio::test]
async fn requests_from_unknown_networks_leave_the_owner_a_valid_code() {
    for fixture in on_both_databases_with_mail().await {
        let (user, purposes) = purposes(&fixture).await;
        fixture.log_in_from(user, PASSWORD, HOME).await.unwrap();
        for purpose in purposes {
            let owner = if matches!(purpose, Purpose::Signup) {
                "203.0.113.77"
            } else {
                HOME
            };
            let mut sent = 0;
            let mut owner_codes = None;
            for round in 0..40 {
                for number in 1..=6 {
                    match fixture.request(purpose, &stranger(number)).await {
                        Ok(_) => sent += 1,
                        Err(failure) => assert_eq!(failure.code, ErrorCode::Throttled),
                    }
                    fixture.clock.advance(Duration::from_secs(15));
                }
                if round == 30 {
                    owner_codes = Some(fixture.request(purpose, owner).await.unwrap());
                }
                // The owner reads the mail some minutes later.
                if round == 35 {
                    assert!(
                        fixture
                            .is_request_valid(purpose, owner_codes.as_ref().unwrap())
                            .await,
                        "{purpose:?}"
                    );
                }
            }
            assert!(sent <= 60, "{sent} mails for {purpose:?}");
            fixture
                .confirm(purpose, owner_codes.as_ref().unwrap())
                .await
                .unwrap();
            fixture.clock.advance(60 * 60 * MINUTE);
        }
    }
}

#[tokio::test]
async fn wrong_codes_from_the_owners_network_do_not_block_a_correct_one() {
    for fixture in on_both_databases_with_mail().await {
        let (user, purposes) = purposes(&fixture).await;
        fixture
            .log_in_from(user, PASSWORD, "192.0.2.1")
            .await
            .unwrap();
        for purpose in purposes {
            let codes = fixture.request(purpose, "192.0.2.1").await.unwrap();
            // All second steps are made from one network, which must wait after these wrong codes.
            let unknown = ("x".repeat(32), "AAAAAA".to_owned());
            while code(fixture.confirm(purpose, &unknown).await) != ErrorCode::Throttled {}
            // During the wait, a wrong code still counts as a failed attempt of its request, so a
            // wait does not give a client more attempts.
            for _ in 0..4 {
                let wrong = (codes.0.clone(), "AAAAAA".to_owned());
                assert_eq!(
                    code(fixture.confirm(purpose, &wrong).await),
                    ErrorCode::Throttled
                );
            }
            let failed = "SELECT '' AS id, CAST(MAX(failed_attempts) AS TEXT) AS text FROM codes";
            assert_eq!(fixture.texts(failed).await, ["4"]);
            fixture.confirm(purpose, &codes).await.unwrap();
        }
    }
}

/// Anonymous calls of others in the same network delay neither a password reset nor a change of the
/// email address.
#[tokio::test]
async fn anonymous_calls_from_the_owners_network_do_not_block_codes() {
    for fixture in on_both_databases_with_mail().await {
        let (user, [signup, reset, email]) = purposes(&fixture).await;
        fixture.log_in_from(user, PASSWORD, HOME).await.unwrap();
        let call = || doorward_rpc::auth::v1::CountAnonymousCallRequest {
            client_address: ALSO_HOME.to_owned(),
        };
        while fixture
            .client
            .clone()
            .count_anonymous_call(call())
            .await
            .is_ok()
        {}
        assert_eq!(
            code(fixture.request(signup, HOME).await),
            ErrorCode::Throttled
        );
        for purpose in [reset, email] {
            let codes = fixture.request(purpose, HOME).await.unwrap();
            fixture.confirm(purpose, &codes).await.unwrap();
        }
        // They delay another user, who has not logged in from this network.
        let other = Purpose::PasswordReset(fixture.user(PASSWORD).await);
        assert_eq!(
            code(fixture.request(other, HOME).await),
            ErrorCode::Throttled
        );
    }
}

#[tokio::test]
async fn every_valid_request_has_one_mail() {
    for fixture in on_both_databases_with_mail().await {
        let (_, purposes) = purposes(&fixture).await;
        for purpose in purposes {
            let earlier = fixture.queued_mails().await.len();
            fixture
                .request_from_each(purpose, (1..=5).map(stranger))
                .await;
            assert_eq!(fixture.queued_mails().await.len(), earlier + 5);
            fixture
                .request_from_each(purpose, (6..=8).map(stranger))
                .await;
            assert_eq!(fixture.queued_mails().await.len(), earlier + 5);
        }
    }
}

#[tokio::test]
async fn completed_signup_makes_its_network_known() {
    for fixture in on_both_databases_with_mail().await {
        let (_, [signup, ..]) = purposes(&fixture).await;
        let codes = fixture.request(signup, "192.0.2.1").await.unwrap();
        fixture.confirm(signup, &codes).await.unwrap();
        let known = "SELECT '' AS id, network AS text FROM known_networks";
        assert_eq!(fixture.texts(known).await, ["192.0.2.1"]);
    }
}
