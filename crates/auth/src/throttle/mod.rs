//! The throttle of logins: failures are counted by username and by address, in the database, and past a threshold make
//! everybody wait who comes with that name or from there, longer with each failure. ADR 0013 says why it is as it is.

mod mailbox;

use std::{net::IpAddr, time::Duration};

use doorward_domain::{Gid, Timestamp};
use doorward_storage::AnyConnection;

use crate::{Error, accounts::codes::sha256_base64, config::ThrottleConfig, store};

pub(crate) use crate::login::in_flight::{ClientAuthenticator, Permit};
pub(crate) use mailbox::{CodeMail, count_mail};

/// An address may fail so many times as often as a username.
const NETWORK_FACTOR: u32 = 10;
/// How long it takes until one failure is forgiven: of a username, and of an address, behind which may be many people.
const USERNAME_DECAY: Duration = Duration::from_secs(3600);
const NETWORK_DECAY: Duration = Duration::from_secs(60);
/// Questions of people without a token (names, codes) from one address, and how long until one more is free.
const ANONYMOUS_REQUEST_DECAY: Duration = Duration::from_secs(5);
/// An address may have so many codes refused times that.
const WRONG_CODE_FACTOR: u32 = 40;
/// Somebody may invite so many times that, and one more a minute.
const INVITATION_FACTOR: u32 = 40;
const INVITATION_DECAY: Duration = Duration::from_secs(60);
/// For how long an address counts as one from which the user logs in, and how exactly that is kept.
pub(crate) const KNOWN_NETWORK_LIFETIME: Duration = Duration::from_secs(30 * 24 * 3600);
const KNOWN_NETWORK_PRECISION: Duration = Duration::from_secs(24 * 3600);
/// Of counts by name, and of counts by address, in the database: a flood of one doesn't wash away the others.
const MAX_COUNTS: i64 = 100_000;
/// No wait doubles more often.
const MAX_DOUBLINGS: u32 = 40;

/// Where a client is, as it counts here: an IPv6 address by its /64, which is what one customer gets (RFC 6177).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ClientNetwork(String);

impl ClientNetwork {
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

/// Failures that were counted.
#[derive(Debug, Clone)]
pub(crate) struct FailureCount {
    pub(crate) bucket: String,
    pub(crate) failures: i64,
    pub(crate) failed_at: Timestamp,
    /// Until then every attempt is refused.
    pub(crate) blocked_until: Timestamp,
    /// The wait that the audit trail tells of already.
    pub(crate) audited_until: Timestamp,
}

/// What is counted, and how.
#[derive(Debug, Clone)]
pub(crate) struct Bucket {
    pub(crate) key: String,
    threshold: u32,
    decay_seconds: Duration,
}

impl Bucket {
    pub(crate) fn for_network(place: &ClientNetwork, config: &ThrottleConfig) -> Self {
        let threshold = config.failures.saturating_mul(NETWORK_FACTOR);
        Self {
            key: format!("address:{}", place.as_str()),
            threshold,
            decay_seconds: NETWORK_DECAY,
        }
    }

    /// Of a name (which is not kept as typed: people type passwords there), for whoever comes from an address that its user has not logged in from.
    pub(crate) fn for_username(name: &str, config: &ThrottleConfig) -> Self {
        Self {
            key: format!("name:{}", sha256_base64(name)),
            threshold: config.failures,
            decay_seconds: USERNAME_DECAY,
        }
    }

    /// Of a name at an address from which its user has logged in.
    pub(crate) fn for_username_at_network(
        name: &str,
        place: &ClientNetwork,
        config: &ThrottleConfig,
    ) -> Self {
        let key = format!("name:{}@{}", sha256_base64(name), place.as_str());
        Self {
            key,
            threshold: config.failures,
            decay_seconds: USERNAME_DECAY,
        }
    }

    /// Of what is asked without a token from an address: each counts, whatever the answer.
    pub(crate) fn for_anonymous_requests(place: &ClientNetwork, config: &ThrottleConfig) -> Self {
        let threshold = config.failures.saturating_mul(NETWORK_FACTOR);
        Self {
            key: format!("question:{}", place.as_str()),
            threshold,
            decay_seconds: ANONYMOUS_REQUEST_DECAY,
        }
    }

    /// Of codes that were refused, from an address. One who taps twice, or many at once who find a code used, guess nothing.
    pub(crate) fn for_wrong_codes(place: &ClientNetwork, config: &ThrottleConfig) -> Self {
        let threshold = config.failures.saturating_mul(WRONG_CODE_FACTOR);
        Self {
            key: format!("code:{}", place.as_str()),
            threshold,
            decay_seconds: ANONYMOUS_REQUEST_DECAY,
        }
    }

    /// Of invitations by one user.
    pub(crate) fn for_invitations(inviter: Gid, config: &ThrottleConfig) -> Self {
        let threshold = config.failures.saturating_mul(INVITATION_FACTOR);
        Self {
            key: format!("invitation:{inviter}"),
            threshold,
            decay_seconds: INVITATION_DECAY,
        }
    }

    /// Counts what a user with a token asks for: by itself at an address from which they have logged in, else together.
    pub(crate) fn for_user_requests(
        user: Gid,
        known_place: Option<&ClientNetwork>,
        config: &ThrottleConfig,
    ) -> Self {
        let threshold = config.failures.saturating_mul(NETWORK_FACTOR);
        let at = known_place.map_or(String::new(), |place| format!("@{}", place.as_str()));
        Self {
            key: format!("question:{user}{at}"),
            threshold,
            decay_seconds: ANONYMOUS_REQUEST_DECAY,
        }
    }

    /// The failures that still count.
    fn decayed_failures(&self, count: Option<&FailureCount>, now: Timestamp) -> i64 {
        count.map_or(0, |count| {
            let quiet = now
                .as_micros()
                .saturating_sub(count.failed_at.as_micros())
                .max(0);
            let forgiven =
                quiet / i64::try_from(self.decay_seconds.as_micros()).unwrap_or(i64::MAX);
            count.failures.saturating_sub(forgiven).max(0)
        })
    }

    /// How many attempts may be on their way at once, so that even if all fail there are no more than the threshold.
    pub(crate) fn max_in_flight(&self, count: Option<&FailureCount>, now: Timestamp) -> usize {
        let left = i64::from(self.threshold) - self.decayed_failures(count, now);
        usize::try_from(left).unwrap_or(0).max(1)
    }

    /// The count after one more failure.
    fn with_failure(
        &self,
        count: FailureCount,
        config: &ThrottleConfig,
        now: Timestamp,
    ) -> FailureCount {
        // More would only take longer to be forgiven.
        let most = i64::from(self.threshold) + i64::from(MAX_DOUBLINGS);
        let failures = (self.decayed_failures(Some(&count), now) + 1).min(most);
        let blocked_until = match u32::try_from(failures - i64::from(self.threshold)) {
            Ok(doublings) => now.saturating_add(config.backoff_for(doublings)),
            Err(_) => count.blocked_until,
        };
        FailureCount {
            failures,
            failed_at: now,
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

/// How long from `now` somebody has to wait.
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

/// Whether a login from an address makes it a known one still.
pub(crate) fn is_known_network(last_login_at: Option<Timestamp>, now: Timestamp) -> bool {
    last_login_at.is_some_and(|at| at > now.saturating_sub(KNOWN_NETWORK_LIFETIME))
}

/// Returns whether one of these users has logged in from this address lately.
///
/// # Errors
/// Database errors.
pub(crate) fn is_known_to_any_user(
    connection: &mut AnyConnection,
    users: &[Gid],
    place: &ClientNetwork,
    now: Timestamp,
) -> Result<bool, Error> {
    for user in users {
        if store::known_network::is_known(
            connection,
            *user,
            place.as_str(),
            now.saturating_sub(KNOWN_NETWORK_LIFETIME),
        )? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Whether a login must be noted, for an address to stay known.
pub(crate) fn needs_login_update(last_login_at: Option<Timestamp>, now: Timestamp) -> bool {
    last_login_at.is_none_or(|at| at < now.saturating_sub(KNOWN_NETWORK_PRECISION))
}

/// Counts a failure against each of these. The order of buckets is the order of locks: the address first.
pub(crate) fn count_failure(
    connection: &mut AnyConnection,
    buckets: &[&Bucket],
    config: &ThrottleConfig,
    now: Timestamp,
) -> Result<(), Error> {
    for bucket in buckets {
        let count = store::throttle::get_locked(connection, &bucket.key)?;
        // What began before a wait and ends in it makes it no longer.
        if wait(&count, now).is_none() {
            store::throttle::update(connection, bucket.with_failure(count, config, now))?;
        }
    }
    Ok(())
}

/// Clears the failed logins of a username, at every address.
pub(crate) fn clear_username(
    connection: &mut AnyConnection,
    name: &str,
    config: &ThrottleConfig,
) -> Result<(), Error> {
    let bucket = Bucket::for_username(name, config);
    store::throttle::delete(connection, &bucket.key)?;
    Ok(store::throttle::delete_parts(connection, &bucket.key)?)
}

/// Counts something that is limited whether or not it succeeds, before it is done. The order of buckets is the order of locks.
///
/// # Errors
/// [`Error::Throttled`], and then the caller's transaction must not be committed.
pub(crate) fn count_attempt(
    connection: &mut AnyConnection,
    buckets: &[&Bucket],
    config: &ThrottleConfig,
    now: Timestamp,
) -> Result<(), Error> {
    for bucket in buckets {
        let count = store::throttle::get_locked(connection, &bucket.key)?;
        if let Some(wait) = wait(&count, now) {
            return Err(Error::Throttled(wait));
        }
        store::throttle::update(connection, bucket.with_failure(count, config, now))?;
    }
    Ok(())
}

/// Returns how long attempts have to wait still; counts nothing.
///
/// # Errors
/// Database errors.
pub(crate) fn find_wait(
    connection: &mut AnyConnection,
    bucket: &Bucket,
    now: Timestamp,
) -> Result<Option<Duration>, Error> {
    let count = store::throttle::find(connection, &bucket.key)?;
    Ok(count.and_then(|count| wait(&count, now)))
}

/// Drops what no longer counts, one kind at a time. A transaction for both could wait for somebody who has locked an
/// address and waits for a name.
pub(crate) fn delete_decayed(
    connection: &mut AnyConnection,
    kind: BucketKind,
    config: &ThrottleConfig,
    now: Timestamp,
) -> Result<(), Error> {
    let (threshold, forgives) = match kind {
        BucketKind::Name => (config.failures, USERNAME_DECAY),
        BucketKind::Address => (
            config.failures.saturating_mul(NETWORK_FACTOR),
            NETWORK_DECAY,
        ),
        BucketKind::Question => (
            config.failures.saturating_mul(NETWORK_FACTOR),
            ANONYMOUS_REQUEST_DECAY,
        ),
        BucketKind::Code => (
            config.failures.saturating_mul(WRONG_CODE_FACTOR),
            ANONYMOUS_REQUEST_DECAY,
        ),
        BucketKind::Invitation => (
            config.failures.saturating_mul(INVITATION_FACTOR),
            INVITATION_DECAY,
        ),
        BucketKind::Mailbox => (mailbox::mailbox_threshold(config), mailbox::MAIL_DECAY),
        BucketKind::Strangers => (
            mailbox::unknown_networks_threshold(config),
            mailbox::MAIL_DECAY,
        ),
        BucketKind::Newcomers => (
            mailbox::new_networks_threshold(config),
            mailbox::NEW_NETWORK_DECAY,
        ),
    };
    let longest = forgives.saturating_mul(threshold.saturating_add(MAX_DOUBLINGS));
    Ok(store::throttle::delete_decayed(
        connection,
        kind.key_prefix(),
        now.saturating_sub(longest),
        MAX_COUNTS,
        now,
    )?)
}

/// What failures are counted by.
#[derive(Debug, Clone, Copy)]
pub(crate) enum BucketKind {
    Name,
    Address,
    Question,
    Code,
    Invitation,
    Mailbox,
    Strangers,
    Newcomers,
}

impl BucketKind {
    pub(crate) const ALL: [Self; 8] = [
        Self::Name,
        Self::Address,
        Self::Question,
        Self::Code,
        Self::Invitation,
        Self::Mailbox,
        Self::Strangers,
        Self::Newcomers,
    ];

    const fn key_prefix(self) -> &'static str {
        match self {
            Self::Name => "name:",
            Self::Address => "address:",
            Self::Question => "question:",
            Self::Code => "code:",
            Self::Invitation => "invitation:",
            Self::Mailbox => "mailbox:",
            Self::Strangers => "strangers:",
            Self::Newcomers => "newcomers:",
        }
    }
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

    fn none() -> FailureCount {
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
        let mut count = none();
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
            "more would only take longer to be forgiven"
        );
    }

    #[test]
    fn login_from_a_known_network_is_recorded_once_a_day() {
        let ago = |seconds: u64| Some(NOW.saturating_sub(Duration::from_secs(seconds)));
        assert_eq!(
            [None, ago(86_401), ago(86_400), ago(0)].map(|at| needs_login_update(at, NOW)),
            [true, true, false, false]
        );
    }

    #[test]
    fn failures_are_forgiven_with_time() {
        let bucket = Bucket::for_username("ann", &CONFIG);
        let count = (0..2).fold(none(), |count, _| bucket.with_failure(count, &CONFIG, NOW));
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
            "a clock that went back"
        );
    }

    #[test]
    fn ipv6_addresses_are_counted_by_their_64_prefix() {
        let place = |text: &str| ClientNetwork::from_address(text.parse().unwrap());
        assert_eq!(place("2001:db8:1:2::1"), place("2001:db8:1:2:ffff::9"));
        assert_ne!(place("2001:db8:1:2::1"), place("2001:db8:1:3::1"));
        assert_eq!(place("::ffff:192.0.2.1"), place("192.0.2.1"));
        assert_ne!(place("192.0.2.1"), place("192.0.2.2"));
        assert_eq!(
            Bucket::for_network(&place("192.0.2.1"), &CONFIG).threshold,
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
