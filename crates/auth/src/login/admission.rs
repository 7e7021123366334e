//! Which attempts to log in are let through: not those during a wait, and not more at once than may still fail.

use std::time::Duration;

use doorward_domain::Timestamp;
use doorward_storage::AnyConnection;

use crate::{
    Error,
    audit::{self, Action, Entry},
    login::password::{Attempt, Logins, NOBODY},
    store,
    throttle::{self, Bucket, ClientNetwork, FailureCount, Permit},
};

/// How many attempts may wait for others with the same name or from the same address.
pub(crate) const MAX_WAITING: usize = 1024;
/// How long an attempt waits for others with the same name.
const TIMEOUT: Duration = Duration::from_secs(8);

/// An attempt that was let through, and what was read for it.
pub(crate) struct Admission {
    /// To be kept until the outcome is written.
    pub(crate) permit: Permit,
    pub(crate) network_bucket: Bucket,
    pub(crate) username_bucket: Bucket,
    pub(crate) has_username_failures: bool,
    pub(crate) password_hash: Option<String>,
    pub(crate) last_login_at: Option<Timestamp>,
}

/// What a look at the database tells about an attempt.
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
    /// # Errors
    /// [`Error::Throttled`], [`Error::HashQueueFull`] when too many wait, and those of the database.
    pub(crate) async fn admit(
        &self,
        attempt: &Attempt,
        place: &ClientNetwork,
    ) -> Result<Admission, Error> {
        let config = &self.config.throttle;
        let address = Bucket::for_network(place, config);
        let (name, name_here) = (
            Bucket::for_username(&attempt.username, config),
            Bucket::for_username_at_network(&attempt.username, place, config),
        );
        let give_up_at = tokio::time::Instant::now() + TIMEOUT;
        let mut ticket = self
            .in_flight
            .register(&[&address.key, &name.key, &name_here.key]);
        let mut _waiting = None;
        while tokio::time::Instant::now() < give_up_at {
            let look = self
                .load_attempt_state(attempt, place, [&address.key, &name.key, &name_here.key])
                .await?;
            let now = self.clock.now();
            let is_known = throttle::is_known_network(look.last_login_at, now);
            // At an address from which the user has logged in, nothing that others send there holds them up.
            let name = if is_known { &name_here } else { &name };
            let applying: Vec<&Bucket> = if is_known {
                vec![name]
            } else {
                vec![&address, name]
            };
            let counts: Vec<&FailureCount> = applying
                .iter()
                .filter_map(|bucket| look.count(bucket))
                .collect();
            let entry = Entry::new(Action::LoginThrottled, attempt.user, &attempt.origin)
                .with_project(attempt.project);
            self.check_not_blocked(&counts, entry).await?;
            let room = |bucket: &Bucket| bucket.max_in_flight(look.count(bucket), now);
            let rooms: Vec<(&str, usize)> = applying
                .iter()
                .map(|bucket| (bucket.key.as_str(), room(bucket)))
                .collect();
            match ticket.try_start(&rooms) {
                Ok(permit) => {
                    let has_name_count = look.count(name).is_some();
                    let name = name.clone();
                    let AttemptState {
                        hash,
                        last_login_at,
                        ..
                    } = look;
                    return Ok(Admission {
                        permit,
                        network_bucket: address,
                        username_bucket: name,
                        has_username_failures: has_name_count,
                        password_hash: hash,
                        last_login_at,
                    });
                }
                Err((same, wait_for)) => {
                    ticket = same;
                    if let Some(wait_for) = wait_for {
                        if _waiting.is_none() {
                            _waiting = Some(
                                self.waiting_slots
                                    .try_acquire()
                                    .map_err(|_| Error::HashQueueFull)?,
                            );
                        }
                        // The time is looked at above.
                        drop(tokio::time::timeout_at(give_up_at, wait_for.notified()).await);
                    }
                }
            }
        }
        Err(Error::HashQueueFull)
    }

    async fn load_attempt_state(
        &self,
        attempt: &Attempt,
        place: &ClientNetwork,
        buckets: [&str; 3],
    ) -> Result<AttemptState, Error> {
        let (user, place) = (attempt.user.unwrap_or(NOBODY), place.clone());
        let buckets = buckets.map(str::to_owned);
        let work = move |connection: &mut AnyConnection| {
            let counts = store::throttle::list(connection, buckets.each_ref().map(String::as_str))?;
            let (hash, last_login_at) =
                store::known_network::find_with_hash(connection, user, place.as_str())?
                    .map_or((None, None), |(hash, at)| (Some(hash), at));
            Ok(AttemptState {
                counts,
                hash,
                last_login_at,
            })
        };
        Ok(self.database.query(work).await?)
    }

    /// Refuses whoever comes during a wait, and writes down the first of them.
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
            let (bucket, until) = (count.bucket.clone(), count.blocked_until);
            let write = move |connection: &mut AnyConnection| {
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
