//! Buckets: which attempts are counted together, the threshold of each bucket, and its waits.

use std::{net::IpAddr, time::Duration};

use doorward_domain::{Gid, Timestamp};

use crate::{config::ThrottleConfig, model::FailureCount, sha256::sha256_base64};

/// Threshold of a client network, as a multiple of that of a username: many people can share one.
pub(super) const NETWORK_FACTOR: u32 = 10;
/// Time until one failed login with a username is forgiven.
pub(super) const USERNAME_DECAY: Duration = Duration::from_secs(3600);
/// Time until one failed login from a client network is forgiven.
pub(super) const NETWORK_DECAY: Duration = Duration::from_secs(60);
/// Time until one anonymous call, such as a check of a username, or one wrong code is forgiven.
pub(super) const ANONYMOUS_REQUEST_DECAY: Duration = Duration::from_secs(5);
/// Threshold of wrong codes from a client network, as a multiple of that of a username.
pub(super) const WRONG_CODE_FACTOR: u32 = 40;
/// Threshold of invitations by one user, as a multiple of that of a username.
pub(super) const INVITATION_FACTOR: u32 = 40;
/// Time until one invitation is forgiven.
pub(super) const INVITATION_DECAY: Duration = Duration::from_secs(60);
/// Maximum number of failures that count beyond the threshold.
pub(super) const MAX_DOUBLINGS: u32 = 40;

/// A client network: an IPv4 address, or the /64 prefix of an IPv6 address, which is the least that
/// one customer gets (RFC 6177).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ClientNetwork(String);

impl ClientNetwork {
    /// Returns the network of an address. An IPv4-mapped IPv6 address counts as IPv4.
    pub(crate) fn from_address(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(address) => Self(address.to_string()),
            IpAddr::V6(address) => {
                let [a, b, c, d, ..] = address.segments();
                Self(format!("{a:x}:{b:x}:{c:x}:{d:x}::/64"))
            }
        }
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

/// One count of the throttle: its key, threshold and decay interval.
#[derive(Debug, Clone)]
pub(crate) struct Bucket {
    pub(crate) key: String,
    /// Number of failures that starts the first wait.
    pub(super) threshold: u32,
    /// Time until one failure is forgiven.
    pub(super) decay_interval: Duration,
}

impl Bucket {
    /// Returns the bucket of failed logins from a client network.
    pub(crate) fn for_network(network: &ClientNetwork, config: &ThrottleConfig) -> Self {
        let threshold = config.failures.saturating_mul(NETWORK_FACTOR);
        Self {
            key: format!("address:{}", network.as_str()),
            threshold,
            decay_interval: NETWORK_DECAY,
        }
    }

    /// Returns the bucket of failed logins with a username from networks that its user has not
    /// logged in from. The key has a hash of the name, because people type passwords there.
    pub(crate) fn for_username(username: &str, config: &ThrottleConfig) -> Self {
        Self {
            key: format!("name:{}", sha256_base64(username)),
            threshold: config.failures,
            decay_interval: USERNAME_DECAY,
        }
    }

    /// Returns the bucket of failed logins with a username from a network that its user has logged
    /// in from.
    pub(crate) fn for_username_at_network(
        username: &str,
        network: &ClientNetwork,
        config: &ThrottleConfig,
    ) -> Self {
        let key = format!("name:{}@{}", sha256_base64(username), network.as_str());
        Self {
            key,
            threshold: config.failures,
            decay_interval: USERNAME_DECAY,
        }
    }

    /// Returns the bucket of anonymous calls from a client network. Each call counts,
    /// also a successful one.
    pub(crate) fn for_anonymous_requests(network: &ClientNetwork, config: &ThrottleConfig) -> Self {
        let threshold = config.failures.saturating_mul(NETWORK_FACTOR);
        Self {
            key: format!("question:{}", network.as_str()),
            threshold,
            decay_interval: ANONYMOUS_REQUEST_DECAY,
        }
    }

    /// Returns the bucket of wrong codes from a client network. Its threshold is high: a code that
    /// was sent twice, or had been used, counts as wrong although no one guesses.
    pub(crate) fn for_wrong_codes(network: &ClientNetwork, config: &ThrottleConfig) -> Self {
        let threshold = config.failures.saturating_mul(WRONG_CODE_FACTOR);
        Self {
            key: format!("code:{}", network.as_str()),
            threshold,
            decay_interval: ANONYMOUS_REQUEST_DECAY,
        }
    }

    /// Returns the bucket of invitations by one user.
    pub(crate) fn for_invitations(inviter: Gid, config: &ThrottleConfig) -> Self {
        let threshold = config.failures.saturating_mul(INVITATION_FACTOR);
        Self {
            key: format!("invitation:{inviter}"),
            threshold,
            decay_interval: INVITATION_DECAY,
        }
    }

    /// Returns the bucket of requests of a user with a token. Each known network has its own; all
    /// other networks share one, so a stolen token does not delay the user at a known network.
    pub(crate) fn for_user_requests(
        user: Gid,
        known_network: Option<&ClientNetwork>,
        config: &ThrottleConfig,
    ) -> Self {
        let threshold = config.failures.saturating_mul(NETWORK_FACTOR);
        let at = known_network.map_or(String::new(), |network| format!("@{}", network.as_str()));
        Self {
            key: format!("question:{user}{at}"),
            threshold,
            decay_interval: ANONYMOUS_REQUEST_DECAY,
        }
    }

    /// Returns the number of failures that have not been forgiven. A clock that was set back
    /// forgives nothing.
    pub(super) fn decayed_failures(&self, count: Option<&FailureCount>, now: Timestamp) -> i64 {
        count.map_or(0, |count| {
            let elapsed = now
                .as_micros()
                .saturating_sub(count.failed_at.as_micros())
                .max(0);
            let forgiven =
                elapsed / i64::try_from(self.decay_interval.as_micros()).unwrap_or(i64::MAX);
            count.failures.saturating_sub(forgiven).max(0)
        })
    }

    /// Returns how many attempts may be in flight at once, so that the threshold is not exceeded
    /// even if all of them fail. At or above the threshold, it is one.
    pub(crate) fn max_in_flight(&self, count: Option<&FailureCount>, now: Timestamp) -> usize {
        let left = i64::from(self.threshold) - self.decayed_failures(count, now);
        usize::try_from(left).unwrap_or(0).max(1)
    }

    /// Returns the count after one more failure.
    pub(super) fn with_failure(
        &self,
        count: FailureCount,
        config: &ThrottleConfig,
        now: Timestamp,
    ) -> FailureCount {
        // More failures would not make the wait longer, but take longer to be forgiven.
        let max_failures = i64::from(self.threshold) + i64::from(MAX_DOUBLINGS);
        let failures = (self.decayed_failures(Some(&count), now) + 1).min(max_failures);
        let blocked_until = match u32::try_from(failures - i64::from(self.threshold)) {
            Ok(doublings) => now.saturating_add(config.backoff_for(doublings)),
            Err(_) => count.blocked_until,
        };
        FailureCount {
            failures,
            failed_at: now,
            // A wait is never shortened, even if the settings have changed since it began.
            blocked_until: blocked_until.max(count.blocked_until),
            ..count
        }
    }
}

impl ThrottleConfig {
    fn backoff_for(&self, doublings: u32) -> Duration {
        let factor = 1_u32.checked_shl(doublings).unwrap_or(u32::MAX);
        self.backoff
            .saturating_mul(factor)
            .min(self.backoff_max.max(self.backoff))
    }
}

/// Returns how long attempts have to wait from `now` on; None if there is no wait.
pub(crate) fn wait(count: &FailureCount, now: Timestamp) -> Option<Duration> {
    let micros = count
        .blocked_until
        .as_micros()
        .saturating_sub(now.as_micros());
    u64::try_from(micros)
        .ok()
        .filter(|micros| *micros > 0)
        .map(Duration::from_micros)
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONFIG: ThrottleConfig = ThrottleConfig {
        failures: 3,
        backoff: Duration::from_secs(1),
        backoff_max: Duration::from_secs(10),
    };
    const NOW: Timestamp = Timestamp::from_seconds(1_800_000_000);

    fn no_failures() -> FailureCount {
        let never = Timestamp::default();
        FailureCount {
            bucket: String::new(),
            failures: 0,
            failed_at: never,
            blocked_until: never,
            audited_until: never,
        }
    }

    #[test]
    fn waits_start_at_the_threshold_and_double_up_to_the_maximum() {
        let bucket = Bucket::for_username("ann", &CONFIG);
        let mut count = no_failures();
        let mut waits = Vec::new();
        for _ in 0..8 {
            count = bucket.with_failure(count, &CONFIG, NOW);
            waits.push(wait(&count, NOW).map_or(0, |wait| wait.as_secs()));
        }
        assert_eq!(waits, [0, 0, 1, 2, 4, 8, 10, 10]);
        (0..100).for_each(|_| count = bucket.with_failure(count.clone(), &CONFIG, NOW));
        assert_eq!(wait(&count, NOW), Some(Duration::from_secs(10)));
        assert_eq!(
            count.failures,
            3 + 40,
            "more failures would only take longer to be forgiven"
        );
    }

    #[test]
    fn failures_are_forgiven_with_time() {
        let bucket = Bucket::for_username("ann", &CONFIG);
        let count = (0..2).fold(no_failures(), |count, _| {
            bucket.with_failure(count, &CONFIG, NOW)
        });
        let later = |hours: u64| NOW.saturating_add(Duration::from_secs(hours * 3600));
        assert_eq!(
            [0, 1, 2, 9].map(|hours| bucket.decayed_failures(Some(&count), later(hours))),
            [2, 1, 0, 0]
        );
        assert_eq!(
            [0, 1, 2].map(|hours| bucket.max_in_flight(Some(&count), later(hours))),
            [1, 2, 3]
        );
        assert_eq!(
            bucket.decayed_failures(Some(&count), NOW.saturating_sub(Duration::from_secs(7200))),
            2,
            "the clock was set back"
        );
    }

    #[test]
    fn ipv6_addresses_are_counted_by_their_64_prefix() {
        let network = |text: &str| ClientNetwork::from_address(text.parse().unwrap());
        assert_eq!(network("2001:db8:1:2::1"), network("2001:db8:1:2:ffff::9"));
        assert_ne!(network("2001:db8:1:2::1"), network("2001:db8:1:3::1"));
        assert_eq!(network("::ffff:192.0.2.1"), network("192.0.2.1"));
        assert_ne!(network("192.0.2.1"), network("192.0.2.2"));
        assert_eq!(
            Bucket::for_network(&network("192.0.2.1"), &CONFIG).threshold,
            30
        );
    }

    #[test]
    fn username_is_stored_hashed() {
        assert!(
            !Bucket::for_username("hunter2 hunter2", &CONFIG)
                .key
                .contains("hunter2")
        );
    }
}
