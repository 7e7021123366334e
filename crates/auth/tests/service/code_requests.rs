//! Several requests for codes at the same time: which are valid, which hold up which, and how many mails a mailbox gets.

use futures_util::future::join_all;

use super::{
    codes::{CodePair, Purpose, assert_refused, on_both_databases_with_mail},
    *,
};

const PASSWORD: &str = "correct horse battery staple 9";
const HOME: &str = "2001:db8:7:7::1";
/// The same network as [`HOME`].
const ALSO_HOME: &str = "2001:db8:7:7:abcd::9";
const MINUTE: Duration = Duration::from_secs(60);

fn stranger(number: usize) -> String {
    format!("198.51.100.{number}")
}

/// A user, and each purpose with them.
async fn purposes(fixture: &Fixture) -> (Gid, [Purpose; 3]) {
    let user = fixture.user(PASSWORD).await;
    (
        user,
        [
            Purpose::PendingSignup,
            Purpose::Reset(user),
            Purpose::Email(user),
        ],
    )
}

impl Fixture {
    async fn request_from_each(
        &self,
        purpose: Purpose,
        addresses: impl IntoIterator<Item = String>,
    ) -> Vec<CodePair> {
        let mut begun = Vec::new();
        for address in addresses {
            begun.push(self.request(purpose, &address).await.unwrap());
        }
        begun
    }

    /// Whether a request is valid. The try that tells is a wrong one, so it can be asked four times.
    async fn is_request_valid(&self, purpose: Purpose, codes: &CodePair) -> bool {
        let failed =
            "SELECT '' AS id, CAST(COALESCE(SUM(failed_attempts), 0) AS TEXT) AS text FROM codes";
        let before = self.texts(failed).await;
        assert_refused(
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
            // From one address, and each from another.
            for same in [true, false] {
                let begun = fixture
                    .request_from_each(
                        purpose,
                        (1..=6).map(|number| stranger(if same { 1 } else { number })),
                    )
                    .await;
                assert!(
                    !fixture.is_request_valid(purpose, &begun[0]).await,
                    "{purpose:?}"
                );
                for codes in &begun[1..] {
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
        for (purpose, place) in purposes
            .into_iter()
            .flat_map(|purpose| (0..5).map(move |place| (purpose, place)))
        {
            let begun = fixture
                .request_from_each(purpose, (1..=5).map(stranger))
                .await;
            fixture.confirm(purpose, &begun[place]).await.unwrap();
            for codes in &begun {
                assert_refused(fixture.confirm(purpose, codes).await);
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
            let begun = fixture
                .request_from_each(purpose, (1..=5).map(stranger))
                .await;
            let tries = begun
                .iter()
                .cycle()
                .take(40)
                .map(|codes| fixture.confirm(purpose, codes));
            let done = join_all(tries).await;
            assert_eq!(
                done.iter().filter(|done| done.is_ok()).count(),
                1,
                "{purpose:?}: {done:?}"
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
            // Later ones of the same network do invalidate it, after those of strangers.
            let later = fixture
                .request_from_each(purpose, vec![HOME.to_owned(); 4])
                .await;
            assert!(fixture.is_request_valid(purpose, &own).await, "{purpose:?}");
            // There is no room for a stranger's.
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

/// Six networks with 40 requests each within an hour: at any moment of it, an owner elsewhere receives codes that work, and the
/// mailbox does not get hundreds of mails.
#[tokio::test]
async fn requests_from_unknown_networks_leave_the_owner_a_valid_code() {
    for fixture in on_both_databases_with_mail().await {
        let (user, purposes) = purposes(&fixture).await;
        fixture.log_in_from(user, PASSWORD, HOME).await.unwrap();
        for purpose in purposes {
            let owner = if matches!(purpose, Purpose::PendingSignup) {
                "203.0.113.77"
            } else {
                HOME
            };
            let (mut sent, mut owners) = (0, None);
            for turn in 0..40 {
                for number in 1..=6 {
                    match fixture.request(purpose, &stranger(number)).await {
                        Ok(_) => sent += 1,
                        Err(failure) => assert_eq!(failure.code, ErrorCode::Throttled),
                    }
                    fixture.clock.advance(Duration::from_secs(15));
                }
                if turn == 30 {
                    owners = Some(fixture.request(purpose, owner).await.unwrap());
                }
                // Some minutes until the mail is read.
                if turn == 35 {
                    assert!(
                        fixture
                            .is_request_valid(purpose, owners.as_ref().unwrap())
                            .await,
                        "{purpose:?}"
                    );
                }
            }
            assert!(sent <= 60, "{sent} mails for {purpose:?}");
            fixture
                .confirm(purpose, owners.as_ref().unwrap())
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
            // All of the second steps come from one address.
            let unknown = ("x".repeat(32), "AAAAAA".to_owned());
            while code(fixture.confirm(purpose, &unknown).await) != ErrorCode::Throttled {}
            // A wrong one is counted for its request all the same: a wait gives no client more tries.
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

/// Questions of others at the same address hold up neither a new password nor another email address.
#[tokio::test]
async fn anonymous_calls_from_the_owners_network_do_not_block_codes() {
    for fixture in on_both_databases_with_mail().await {
        let (user, [signup, reset, email]) = purposes(&fixture).await;
        fixture.log_in_from(user, PASSWORD, HOME).await.unwrap();
        let question = || doorward_rpc::auth::v1::CountAnonymousCallRequest {
            client_address: ALSO_HOME.to_owned(),
        };
        while fixture
            .client
            .clone()
            .count_anonymous_call(question())
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
        // For another user they count.
        let other = Purpose::Reset(fixture.user(PASSWORD).await);
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
