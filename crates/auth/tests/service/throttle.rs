//! Tests of the throttle over time.

use std::time::Duration;

use doorward_domain::{Clock, ErrorCode, Gid, IdGenerator, RandomIdGenerator};
use doorward_rpc::{RpcError, auth::v1::VerifyPasswordRequest};

use crate::fixture::{CHEAP, Fixture, code, login, on_both_databases};

const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);
const PASSWORD: &str = "correct horse";
const WRONG: &str = "wrong horse";

/// A user with a password. The gid is the username too.
struct UserInfo<'a> {
    fixture: &'a Fixture,
    gid: Gid,
}

impl UserInfo<'_> {
    async fn attempt(&self, password: &str, address: &str) -> Result<String, RpcError> {
        let request = login(Some(self.gid), password, self.fixture.clock.now());
        let request = VerifyPasswordRequest {
            client_address: address.to_owned(),
            ..request
        };
        Ok(self
            .fixture
            .client
            .clone()
            .verify_password(request)
            .await?
            .into_inner()
            .token)
    }

    async fn fail_times(&self, times: usize, address: &str) {
        for _ in 0..times {
            assert_eq!(
                code(self.attempt(WRONG, address).await),
                ErrorCode::UnknownUser
            );
        }
    }

    /// Asserts that attempts with a wrong and with the right password have to wait, and returns how
    /// long.
    async fn expect_wait(&self, address: &str) -> Duration {
        let [wrong, right] = [
            self.attempt(WRONG, address).await,
            self.attempt(PASSWORD, address).await,
        ];
        let [wrong, right] = [wrong.unwrap_err(), right.unwrap_err()];
        assert_eq!(
            (wrong.code, right.code),
            (ErrorCode::Throttled, ErrorCode::Throttled)
        );
        assert_eq!(wrong.retry_after, right.retry_after);
        right.retry_after.unwrap()
    }
}

impl Fixture {
    async fn user_with_password(&self) -> UserInfo<'_> {
        UserInfo {
            fixture: self,
            gid: self.user(PASSWORD).await,
        }
    }
}

#[tokio::test]
async fn wait_starts_at_the_threshold_and_doubles_up_to_the_maximum() {
    for fixture in on_both_databases(CHEAP).await {
        let ann = fixture.user_with_password().await;
        ann.fail_times(4, "192.0.2.1").await;
        for expected in [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900] {
            ann.fail_times(1, "192.0.2.1").await;
            let wait = Duration::from_secs(expected);
            assert_eq!(ann.expect_wait("192.0.2.1").await, wait);
            fixture
                .clock
                .advance(wait.checked_sub(Duration::from_micros(1)).unwrap());
            assert_eq!(ann.expect_wait("192.0.2.1").await, Duration::from_micros(1));
            fixture.clock.advance(Duration::from_micros(1));
        }
        ann.attempt(PASSWORD, "192.0.2.1").await.unwrap();
        ann.fail_times(4, "192.0.2.1").await;
        ann.attempt(PASSWORD, "192.0.2.1").await.unwrap();
    }
}

#[tokio::test]
async fn username_failures_decay_by_one_per_hour() {
    for fixture in on_both_databases(CHEAP).await {
        let ann = fixture.user_with_password().await;
        ann.fail_times(4, "192.0.2.1").await;
        fixture.clock.advance(2 * HOUR);
        // Two of the four failures still count.
        ann.fail_times(3, "192.0.2.1").await;
        assert_eq!(ann.expect_wait("192.0.2.1").await, Duration::from_secs(1));
        fixture.clock.advance(5 * HOUR);
        ann.fail_times(5, "192.0.2.1").await;
        assert_eq!(ann.expect_wait("192.0.2.1").await, Duration::from_secs(1));
    }
}

#[tokio::test]
async fn network_failures_decay_by_one_per_minute() {
    for fixture in on_both_databases(CHEAP).await {
        let ann = fixture.user_with_password().await;
        let guess = async || {
            let unknown_user = Some(RandomIdGenerator.new_gid());
            fixture.log_in(unknown_user, WRONG).await.unwrap_err().code
        };
        for left in [50, 10, 50] {
            for _ in 0..left {
                assert_eq!(guess().await, ErrorCode::UnknownUser);
            }
            assert_eq!(guess().await, ErrorCode::Throttled);
            assert_eq!(ann.expect_wait("192.0.2.1").await, Duration::from_secs(1));
            ann.attempt(PASSWORD, "192.0.2.2").await.unwrap();
            fixture
                .clock
                .advance(Duration::from_secs(if left == 50 { 600 } else { 3600 }));
        }
    }
}

#[tokio::test]
async fn network_is_known_for_thirty_days_after_a_login() {
    let home = "2001:db8:1:2::3";
    let stranger = "198.51.100.66";
    for fixture in on_both_databases(CHEAP).await {
        let ann = fixture.user_with_password().await;
        // At a known network, her failures are not counted with those of strangers.
        let is_known = async |address: &str| {
            while ann.attempt(WRONG, stranger).await.unwrap_err().code != ErrorCode::Throttled {}
            ann.attempt(WRONG, address).await.unwrap_err().code == ErrorCode::UnknownUser
        };
        assert!(!is_known(home).await);
        fixture.clock.advance(HOUR);
        ann.attempt(PASSWORD, home).await.unwrap();
        assert!(is_known(home).await);
        assert!(is_known("2001:db8:1:2:ffff::9").await);
        assert!(!is_known("2001:db8:1:3::3").await);
        fixture.clock.advance(29 * DAY);
        assert!(is_known(home).await);
        ann.attempt(PASSWORD, home).await.unwrap();
        fixture.clock.advance(30 * DAY - Duration::from_secs(1));
        assert!(is_known(home).await);
        fixture.clock.advance(Duration::from_secs(1));
        assert!(!is_known(home).await);
    }
}

#[tokio::test]
async fn network_is_known_for_one_user_only() {
    for fixture in on_both_databases(CHEAP).await {
        let ann = fixture.user_with_password().await;
        let ben = fixture.user_with_password().await;
        ann.attempt(PASSWORD, "192.0.2.1").await.unwrap();
        ben.fail_times(5, "198.51.100.66").await;
        assert_eq!(ben.expect_wait("192.0.2.1").await, Duration::from_secs(1));
        ann.fail_times(5, "198.51.100.66").await;
        ann.attempt(PASSWORD, "192.0.2.1").await.unwrap();
    }
}
