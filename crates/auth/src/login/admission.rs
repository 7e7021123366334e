//! Admission of login attempts: decides whether an attempt may be hashed now. An attempt is
//! rejected during a wait of the throttle, and it is delayed while as many attempts are in flight
//! as failures remain before the threshold. It does not know how a password is verified.
//!
//! Example: the username `ann` has 3 failures, the threshold is 5, and six guesses at her password
//! arrive at once from networks where she never logged in.
//!
//! 1. All six read 3 failures. Two more may fail, so guesses 1 and 2 are admitted, and 3 to 6 wait.
//! 2. Guess 1 fails. The failure is stored (4), and only then its permit is released as counted.
//!    That wakes guess 3. The counts that guess 3 has read are stale, so it reads them again: one
//!    more failure is allowed, and guess 2 is still in flight. It continues to wait.
//! 3. Guess 2 fails (5). That failure starts a wait of 1 s. Guesses 3 to 6 wake one after the
//!    other, read the wait and are rejected with [`Error::Throttled`], without a hash and without a
//!    count.
//!
//! If guess 2 had been the right password, its login would have cleared the count, and guesses 3 to
//! 6 would have been admitted. Without admission, all six would have been hashed before the first
//! of them was counted.

use std::time::Duration;

use doorward_domain::Timestamp;
use doorward_storage::AnyConnection;

use crate::{
    audit,
    error::Error,
    login::{
        attempt::{DUMMY_USER, PasswordAttempt},
        in_flight::Permit,
        logins::Logins,
    },
    model::{Action, Entry, FailureCount},
    store,
    throttle::{self, Bucket, ClientNetwork},
};

/// Maximum number of attempts that wait for others with the same username or from the same network.
pub(crate) const MAX_WAITING: usize = 1024;
/// Maximum time that an attempt waits for others.
const TIMEOUT: Duration = Duration::from_secs(8);

/// An admitted attempt, and the data that was read for it.
pub(crate) struct Admission {
    /// Must be held until the outcome is stored.
    pub(crate) permit: Permit,
    pub(crate) network_bucket: Bucket,
    /// The bucket of the username, or of the username at this network if the network is known.
    pub(crate) username_bucket: Bucket,
    pub(crate) has_username_failures: bool,
    pub(crate) password_hash: Option<String>,
    /// Time of the last login of this user from this network.
    pub(crate) last_login_at: Option<Timestamp>,
}

/// Rows that decide about an attempt. They are read without a common snapshot: `try_start` detects
/// a failure that was counted since.
struct AttemptState {
    counts: Vec<FailureCount>,
    hash: Option<String>,
    last_login_at: Option<Timestamp>,
}

impl AttemptState {
    fn count(&self, bucket: &Bucket) -> Option<&FailureCount> {
        self.counts.iter().find(|count| count.bucket == bucket.key)
    }
}

impl Logins {
    /// Waits until the attempt may be hashed.
    ///
    /// # Errors
    /// [`Error::Throttled`] during a wait, [`Error::HashQueueFull`] if too many attempts are
    /// waiting or this one has waited too long, and database errors.
    pub(crate) async fn admit(
        &self,
        attempt: &PasswordAttempt,
        network: &ClientNetwork,
    ) -> Result<Admission, Error> {
        let config = &self.config.throttle;
        let network_bucket = Bucket::for_network(network, config);
        let anywhere = Bucket::for_username(&attempt.username, config);
        let at_network = Bucket::for_username_at_network(&attempt.username, network, config);
        let keys = [
            network_bucket.key.as_str(),
            anywhere.key.as_str(),
            at_network.key.as_str(),
        ];
        let deadline = tokio::time::Instant::now() + TIMEOUT;
        // The attempt registers before it reads the counts. A failure that is counted between that
        // read and the start makes the counts stale, and `try_start` detects that.
        let mut waiter = self.in_flight.register(&keys);
        let mut _waiting_slot = None;
        while tokio::time::Instant::now() < deadline {
            let state = self.load_attempt_state(attempt, network, keys).await?;
            let now = self.clock.now();
            let is_known = throttle::is_known_network(state.last_login_at, now);
            // At a known network, only failures with this username at this network count. Failures
            // of other users there, and of strangers elsewhere, do not delay the user.
            let username_bucket = if is_known { &at_network } else { &anywhere };
            let applying: Vec<&Bucket> = if is_known {
                vec![username_bucket]
            } else {
                vec![&network_bucket, username_bucket]
            };
            let counts: Vec<&FailureCount> = applying
                .iter()
                .filter_map(|bucket| state.count(bucket))
                .collect();
            let entry = Entry::new(Action::LoginThrottled, attempt.user, &attempt.origin)
                .with_project(attempt.project);
            self.check_not_blocked(&counts, entry).await?;
            let limit = |bucket: &Bucket| bucket.max_in_flight(state.count(bucket), now);
            let limits: Vec<(&str, usize)> = applying
                .iter()
                .map(|bucket| (bucket.key.as_str(), limit(bucket)))
                .collect();
            match waiter.try_start(&limits) {
                Ok(permit) => {
                    let has_username_failures = state.count(username_bucket).is_some();
                    let username_bucket = username_bucket.clone();
                    let AttemptState {
                        hash,
                        last_login_at,
                        ..
                    } = state;
                    return Ok(Admission {
                        permit,
                        network_bucket,
                        username_bucket,
                        has_username_failures,
                        password_hash: hash,
                        last_login_at,
                    });
                }
                Err((returned, capacity_freed)) => {
                    waiter = returned;
                    // Without a notification to wait for, only the counts are stale: read again.
                    if let Some(capacity_freed) = capacity_freed {
                        // One slot for the whole wait of this attempt, however often it wakes.
                        if _waiting_slot.is_none() {
                            _waiting_slot = Some(
                                self.waiting_slots
                                    .try_acquire()
                                    .map_err(|_| Error::HashQueueFull)?,
                            );
                        }
                        // The condition of the loop handles the timeout.
                        drop(tokio::time::timeout_at(deadline, capacity_freed.notified()).await);
                    }
                }
            }
        }
        Err(Error::HashQueueFull)
    }

    async fn load_attempt_state(
        &self,
        attempt: &PasswordAttempt,
        network: &ClientNetwork,
        buckets: [&str; 3],
    ) -> Result<AttemptState, Error> {
        // Without a user, the dummy user is looked up, so that both cases run the same queries.
        let user = attempt.user.unwrap_or(DUMMY_USER);
        let network = network.clone();
        let buckets = buckets.map(str::to_owned);
        let work = move |connection: &mut AnyConnection| {
            let counts = store::throttle::list(connection, buckets.each_ref().map(String::as_str))?;
            let (hash, last_login_at) =
                store::known_network::find_with_hash(connection, user, network.as_str())?
                    .map_or((None, None), |(hash, at)| (Some(hash), at));
            Ok(AttemptState {
                counts,
                hash,
                last_login_at,
            })
        };
        Ok(self.database.query(work).await?)
    }

    /// Rejects an attempt during a wait. The first rejected attempt of each wait is recorded in the
    /// audit trail; later ones are not, so an attack cannot fill it.
    ///
    /// # Errors
    /// [`Error::Throttled`] with the longest wait of the given counts, and database errors.
    pub(crate) async fn check_not_blocked(
        &self,
        counts: &[&FailureCount],
        entry: Entry,
    ) -> Result<(), Error> {
        let now = self.clock.now();
        let longest = counts
            .iter()
            .filter_map(|count| Some((throttle::wait(count, now)?, *count)));
        let Some((wait, count)) = longest.max_by_key(|(wait, _)| *wait) else {
            return Ok(());
        };
        if count.audited_until < count.blocked_until {
            let bucket = count.bucket.clone();
            let until = count.blocked_until;
            let write = move |connection: &mut AnyConnection| {
                // Another replica or attempt may have recorded this wait since the read.
                if store::throttle::mark_audited(connection, &bucket, until)? {
                    audit::record(connection, entry, now)?;
                }
                Ok::<_, Error>(())
            };
            self.database.write(write).await?;
        }
        Err(Error::Throttled(wait))
    }
}
