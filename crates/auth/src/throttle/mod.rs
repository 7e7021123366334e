//! The throttle: counts failed logins, anonymous calls, wrong codes, invitations and mails in
//! buckets in the database, and rejects further attempts of a bucket for a while once it has
//! reached its threshold. It does not know what an attempt does. ADR 0013 has the reasons.
//!
//! Example: the bucket of the username `ann`, with the default settings (`login_failures` 5,
//! `login_backoff` 1 s) and the decay interval of usernames, one hour.
//!
//! ```text
//! 10:00  four failed logins   4 failures  no wait
//! 10:01  a fifth              5 failures  wait of 1 s
//! 10:01  an attempt in that second is rejected; it is neither hashed nor counted
//! 10:02  a sixth              6 failures  wait of 2 s; each further one doubles it, up to 15 min
//! 12:02  two intervals without a failure: two failures are forgiven, and 4 still count
//! 12:03  another failure      5 failures  wait of 1 s
//! 12:04  ann logs in: the bucket is deleted
//! ```

mod mailbox;

use std::{net::IpAddr, time::Duration};

use doorward_domain::{Gid, Timestamp};
use doorward_storage::AnyConnection;

use crate::{Error, accounts::codes::sha256_base64, config::ThrottleConfig, store};

pub(crate) use crate::login::in_flight::{InFlight, Permit};
pub(crate) use mailbox::{CodeMail, count_mail};

/// Threshold of a client network, as a multiple of that of a username: many people can share one.
const NETWORK_FACTOR: u32 = 10;
/// Time until one failed login with a username is forgiven.
const USERNAME_DECAY: Duration = Duration::from_secs(3600);
/// Time until one failed login from a client network is forgiven.
const NETWORK_DECAY: Duration = Duration::from_secs(60);
/// Time until one anonymous call, such as a check of a username, or one wrong code is forgiven.
const ANONYMOUS_REQUEST_DECAY: Duration = Duration::from_secs(5);
/// Threshold of wrong codes from a client network, as a multiple of that of a username.
const WRONG_CODE_FACTOR: u32 = 40;
/// Threshold of invitations by one user, as a multiple of that of a username.
const INVITATION_FACTOR: u32 = 40;
/// Time until one invitation is forgiven.
const INVITATION_DECAY: Duration = Duration::from_secs(60);
/// Time for which a client network is known after the last login of the user from there.
pub(crate) const KNOWN_NETWORK_LIFETIME: Duration = Duration::from_secs(30 * 24 * 3600);
/// Age at which the time of the last login from a network is recorded again. More often would cost
/// a write for each login.
const KNOWN_NETWORK_PRECISION: Duration = Duration::from_secs(24 * 3600);
/// Maximum number of counts of one kind in the database. Each kind has its own limit, so an
/// attacker who fills one kind does not displace the counts of the others.
const MAX_COUNTS: i64 = 100_000;
/// Maximum number of failures that count beyond the threshold.
const MAX_DOUBLINGS: u32 = 40;

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

/// The stored count of a bucket.
#[derive(Debug, Clone)]
pub(crate) struct FailureCount {
    /// Key of the bucket.
    pub(crate) bucket: String,
    pub(crate) failures: i64,
    /// Time of the last failure, from which the decay is computed.
    pub(crate) failed_at: Timestamp,
    /// End of the wait. Until then every attempt is rejected.
    pub(crate) blocked_until: Timestamp,
    /// End of the last wait that was recorded in the audit trail.
    pub(crate) audited_until: Timestamp,
}

/// One count of the throttle: its key, threshold and decay interval.
#[derive(Debug, Clone)]
pub(crate) struct Bucket {
    pub(crate) key: String,
    /// Number of failures that starts the first wait.
    threshold: u32,
    /// Time until one failure is forgiven.
    decay_seconds: Duration,
}

impl Bucket {
    /// Returns the bucket of failed logins from a client network.
    pub(crate) fn for_network(network: &ClientNetwork, config: &ThrottleConfig) -> Self {
        let threshold = config.failures.saturating_mul(NETWORK_FACTOR);
        Self {
            key: format!("address:{}", network.as_str()),
            threshold,
            decay_seconds: NETWORK_DECAY,
        }
    }

    /// Returns the bucket of failed logins with a username from networks that its user has not
    /// logged in from. The key has a hash of the name, because people type passwords there.
    pub(crate) fn for_username(username: &str, config: &ThrottleConfig) -> Self {
        Self {
            key: format!("name:{}", sha256_base64(username)),
            threshold: config.failures,
            decay_seconds: USERNAME_DECAY,
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
            decay_seconds: USERNAME_DECAY,
        }
    }

    /// Returns the bucket of anonymous calls from a client network. Each call counts,
    /// also a successful one.
    pub(crate) fn for_anonymous_requests(network: &ClientNetwork, config: &ThrottleConfig) -> Self {
        let threshold = config.failures.saturating_mul(NETWORK_FACTOR);
        Self {
            key: format!("question:{}", network.as_str()),
            threshold,
            decay_seconds: ANONYMOUS_REQUEST_DECAY,
        }
    }

    /// Returns the bucket of wrong codes from a client network. Its threshold is high: a code that
    /// was sent twice, or had been used, counts as wrong although no one guesses.
    pub(crate) fn for_wrong_codes(network: &ClientNetwork, config: &ThrottleConfig) -> Self {
        let threshold = config.failures.saturating_mul(WRONG_CODE_FACTOR);
        Self {
            key: format!("code:{}", network.as_str()),
            threshold,
            decay_seconds: ANONYMOUS_REQUEST_DECAY,
        }
    }

    /// Returns the bucket of invitations by one user.
    pub(crate) fn for_invitations(inviter: Gid, config: &ThrottleConfig) -> Self {
        let threshold = config.failures.saturating_mul(INVITATION_FACTOR);
        Self {
            key: format!("invitation:{inviter}"),
            threshold,
            decay_seconds: INVITATION_DECAY,
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
            decay_seconds: ANONYMOUS_REQUEST_DECAY,
        }
    }

    /// Returns the number of failures that have not been forgiven. A clock that was set back
    /// forgives nothing.
    fn decayed_failures(&self, count: Option<&FailureCount>, now: Timestamp) -> i64 {
        count.map_or(0, |count| {
            let elapsed = now
                .as_micros()
                .saturating_sub(count.failed_at.as_micros())
                .max(0);
            let forgiven =
                elapsed / i64::try_from(self.decay_seconds.as_micros()).unwrap_or(i64::MAX);
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
    fn with_failure(
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

/// Returns whether a network is known, given the user's last login from there.
pub(crate) fn is_known_network(last_login_at: Option<Timestamp>, now: Timestamp) -> bool {
    last_login_at.is_some_and(|at| at > now.saturating_sub(KNOWN_NETWORK_LIFETIME))
}

/// Returns whether the network is known for at least one of these users.
///
/// # Errors
/// Database errors.
pub(crate) fn is_known_to_any_user(
    connection: &mut AnyConnection,
    users: &[Gid],
    network: &ClientNetwork,
    now: Timestamp,
) -> Result<bool, Error> {
    for user in users {
        if store::known_network::is_known(
            connection,
            *user,
            network.as_str(),
            now.saturating_sub(KNOWN_NETWORK_LIFETIME),
        )? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Returns whether a login must be recorded for its network to stay known.
pub(crate) fn needs_login_update(last_login_at: Option<Timestamp>, now: Timestamp) -> bool {
    last_login_at.is_none_or(|at| at < now.saturating_sub(KNOWN_NETWORK_PRECISION))
}

/// Counts a failure in each of these buckets. Their order is the order of locks, so all callers
/// must pass the client network first; otherwise two transactions could deadlock.
pub(crate) fn count_failure(
    connection: &mut AnyConnection,
    buckets: &[&Bucket],
    config: &ThrottleConfig,
    now: Timestamp,
) -> Result<(), Error> {
    for bucket in buckets {
        let count = store::throttle::get_locked(connection, &bucket.key)?;
        // An attempt that began before a wait and fails during it does not extend the wait.
        if wait(&count, now).is_none() {
            store::throttle::update(connection, bucket.with_failure(count, config, now))?;
        }
    }
    Ok(())
}

/// Clears the failed logins of a username, at every address.
pub(crate) fn clear_username(
    connection: &mut AnyConnection,
    username: &str,
    config: &ThrottleConfig,
) -> Result<(), Error> {
    let bucket = Bucket::for_username(username, config);
    store::throttle::delete(connection, &bucket.key)?;
    Ok(store::throttle::delete_parts(connection, &bucket.key)?)
}

/// Counts an action that is limited whether or not it succeeds, before it is done. The order of
/// buckets is the order of locks.
///
/// # Errors
/// [`Error::Throttled`] during a wait, and then the caller's transaction must not be committed,
/// because earlier buckets have been counted. Database errors.
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

/// Returns the remaining wait of a bucket without counting anything.
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

/// Deletes the counts of one kind that are fully decayed, and the oldest beyond the limit of that
/// kind. The caller runs a transaction for each kind: one for several could deadlock with a login,
/// which locks a client network and then a username.
pub(crate) fn delete_decayed(
    connection: &mut AnyConnection,
    kind: BucketKind,
    config: &ThrottleConfig,
    now: Timestamp,
) -> Result<(), Error> {
    let (threshold, decay) = match kind {
        BucketKind::Username => (config.failures, USERNAME_DECAY),
        BucketKind::ClientNetwork => (
            config.failures.saturating_mul(NETWORK_FACTOR),
            NETWORK_DECAY,
        ),
        BucketKind::AnonymousCall => (
            config.failures.saturating_mul(NETWORK_FACTOR),
            ANONYMOUS_REQUEST_DECAY,
        ),
        BucketKind::WrongCode => (
            config.failures.saturating_mul(WRONG_CODE_FACTOR),
            ANONYMOUS_REQUEST_DECAY,
        ),
        BucketKind::Invitation => (
            config.failures.saturating_mul(INVITATION_FACTOR),
            INVITATION_DECAY,
        ),
        BucketKind::Mailbox => (mailbox::mailbox_threshold(config), mailbox::MAIL_DECAY),
        BucketKind::UnknownNetworks => (
            mailbox::unknown_networks_threshold(config),
            mailbox::MAIL_DECAY,
        ),
        BucketKind::NewNetworks => (
            mailbox::new_networks_threshold(config),
            mailbox::NEW_NETWORK_DECAY,
        ),
    };
    // The time in which the highest possible number of failures is forgiven.
    let longest = decay.saturating_mul(threshold.saturating_add(MAX_DOUBLINGS));
    Ok(store::throttle::delete_decayed(
        connection,
        kind.key_prefix(),
        now.saturating_sub(longest),
        MAX_COUNTS,
        now,
    )?)
}

/// A kind of bucket. The values are those of the default settings.
///
/// | kind | counts | by | threshold | decay |
/// | --- | --- | --- | --- | --- |
/// | name | failed logins | username, or username and known network | 5 | 1 h |
/// | address | failed logins | client network | 50 | 1 min |
/// | question | anonymous calls, and requests for codes | client network, or user | 50 | 5 s |
/// | code | wrong codes | client network | 200 | 5 s |
/// | invitation | invitations | user | 200 | 1 min |
/// | mailbox | mails with codes | mailbox and client network | 10 | 1 h |
/// | strangers | mails with codes | mailbox, for unknown networks | 20 | 1 h |
/// | newcomers | mails with codes | mailbox, for networks with fewer than two mails | 100 | 5 min |
#[derive(Debug, Clone, Copy)]
pub(crate) enum BucketKind {
    Username,
    ClientNetwork,
    AnonymousCall,
    WrongCode,
    Invitation,
    Mailbox,
    UnknownNetworks,
    NewNetworks,
}

impl BucketKind {
    pub(crate) const ALL: [Self; 8] = [
        Self::Username,
        Self::ClientNetwork,
        Self::AnonymousCall,
        Self::WrongCode,
        Self::Invitation,
        Self::Mailbox,
        Self::UnknownNetworks,
        Self::NewNetworks,
    ];

    /// Returns the start of the keys of this kind. Keys are stored, so the words must stay.
    const fn key_prefix(self) -> &'static str {
        match self {
            Self::Username => "name:",
            Self::ClientNetwork => "address:",
            Self::AnonymousCall => "question:",
            Self::WrongCode => "code:",
            Self::Invitation => "invitation:",
            Self::Mailbox => "mailbox:",
            Self::UnknownNetworks => "strangers:",
            Self::NewNetworks => "newcomers:",
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
