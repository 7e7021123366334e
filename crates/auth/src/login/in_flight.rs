//! Login attempts in flight: limits how many attempts with one username, or from one network, are
//! hashed at the same time in this process. It knows keys, limits and failures, but no database.
//!
//! Without it, many parallel guesses would all be admitted before the first of them is counted. The
//! example in `admission.rs` shows how the two work together.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::sync::Notify;

/// State of all keys that have an attempt, waiting or in flight.
#[derive(Default)]
pub(crate) struct InFlight {
    buckets: Mutex<HashMap<String, BucketState>>,
}

#[derive(Default)]
struct BucketState {
    /// Number of waiters and permits. The state is removed with the last of them.
    references: usize,
    in_flight: usize,
    /// Number of counted failures. An attempt that read the counts at a smaller number must read
    /// them again.
    failures: u64,
    capacity_freed: Arc<Notify>,
}

/// An attempt that is not in flight yet, with the number of failures of each key at the time when
/// it last read the counts.
pub(crate) struct Waiter {
    attempts: Arc<InFlight>,
    observed_failures: Vec<(String, u64)>,
}

/// An attempt in flight. Dropping it frees capacity for the next one.
pub(crate) struct Permit {
    attempts: Arc<InFlight>,
    keys: Vec<String>,
    outcome: Outcome,
}

/// Whether an attempt has changed the counts in the database.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Outcome {
    FailureCounted,
    NotCounted,
}

impl Permit {
    /// Ends the attempt after its failure was counted. Waiters then read the counts again.
    pub(crate) fn release_counted(mut self) {
        self.outcome = Outcome::FailureCounted;
    }
}

impl InFlight {
    fn with_state<T>(&self, work: impl FnOnce(&mut HashMap<String, BucketState>) -> T) -> T {
        work(&mut self.buckets.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Registers an attempt. The caller must do this before it reads the counts.
    pub(crate) fn register(self: &Arc<Self>, keys: &[&str]) -> Waiter {
        let observed_failures = self.with_state(|buckets| {
            let observe = |key: &&str| {
                let bucket = buckets.entry((*key).to_owned()).or_default();
                bucket.references += 1;
                ((*key).to_owned(), bucket.failures)
            };
            keys.iter().map(observe).collect()
        });
        Waiter {
            attempts: self.clone(),
            observed_failures,
        }
    }

    /// Removes one reference to a key. `outcome` is present if the attempt was in flight.
    fn release(&self, key: &str, outcome: Option<Outcome>) {
        self.with_state(|buckets| {
            let Some(bucket) = buckets.get_mut(key) else {
                return;
            };
            bucket.references = bucket.references.saturating_sub(1);
            if let Some(outcome) = outcome {
                bucket.in_flight = bucket.in_flight.saturating_sub(1);
                bucket.failures += u64::from(outcome == Outcome::FailureCounted);
            }
            // A waiter that was rejected wakes the next one too. Otherwise the others would sleep
            // until their timeout, and not see the wait that rejected it.
            bucket.capacity_freed.notify_one();
            if bucket.references == 0 {
                buckets.remove(key);
            }
        });
    }
}

impl Waiter {
    /// Starts the attempt if every key has fewer attempts in flight than its limit, and no failure
    /// of these keys was counted since the last read of the counts.
    ///
    /// # Errors
    /// Returns the waiter, and the notification to wait for. Without a notification, the counts are
    /// stale, and the caller must read them again.
    pub(crate) fn try_start(
        mut self,
        limits: &[(&str, usize)],
    ) -> Result<Permit, (Self, Option<Arc<Notify>>)> {
        let attempts = self.attempts.clone();
        let rejection = attempts.with_state(|buckets| {
            let mut is_stale = false;
            // Only keys that apply to this attempt matter. A failure of a stranger at the same
            // network is irrelevant to a user who has logged in there.
            for (key, observed) in self
                .observed_failures
                .iter_mut()
                .filter(|(key, _)| limits.iter().any(|(applying, _)| applying == key))
            {
                let failures = buckets.get(key).map_or(0, |bucket| bucket.failures);
                is_stale |= std::mem::replace(observed, failures) != failures;
            }
            if is_stale {
                return Some(None);
            }
            for (position, (key, limit)) in limits.iter().enumerate() {
                if let Some(bucket) = buckets
                    .get(*key)
                    .filter(|bucket| bucket.in_flight >= *limit)
                {
                    // This attempt may have consumed the notification of an earlier key, which has
                    // capacity. It passes the notification on, because it cannot use that capacity.
                    let passed = limits
                        .iter()
                        .take(position)
                        .filter_map(|(key, _)| buckets.get(*key));
                    passed.for_each(|bucket| bucket.capacity_freed.notify_one());
                    return Some(Some(bucket.capacity_freed.clone()));
                }
            }
            for (key, limit) in limits {
                if let Some(bucket) = buckets.get_mut(*key) {
                    bucket.in_flight += 1;
                    // Two releases in a row leave one notification, so a start wakes the next one.
                    if bucket.in_flight < *limit {
                        bucket.capacity_freed.notify_one();
                    }
                }
            }
            None
        });
        if let Some(capacity_freed) = rejection {
            return Err((self, capacity_freed));
        }
        let keys = std::mem::take(&mut self.observed_failures)
            .into_iter()
            .map(|(key, _)| key);
        let (keys, others): (Vec<String>, Vec<String>) =
            keys.partition(|key| limits.iter().any(|(applying, _)| applying == key));
        others.iter().for_each(|key| attempts.release(key, None));
        Ok(Permit {
            attempts,
            keys,
            outcome: Outcome::NotCounted,
        })
    }
}

impl Drop for Waiter {
    fn drop(&mut self) {
        self.observed_failures
            .iter()
            .for_each(|(key, _)| self.attempts.release(key, None));
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.keys
            .iter()
            .for_each(|key| self.attempts.release(key, Some(self.outcome)));
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[test]
    fn attempts_in_flight_are_limited() {
        let attempts = Arc::new(InFlight::default());
        let first = attempts
            .register(&["a"])
            .try_start(&[("a", 2)])
            .ok()
            .unwrap();
        let second = attempts
            .register(&["a"])
            .try_start(&[("a", 2)])
            .ok()
            .unwrap();
        let (third, capacity_freed) = attempts
            .register(&["a"])
            .try_start(&[("a", 2)])
            .err()
            .unwrap();
        assert!(capacity_freed.is_some());
        first.release_counted();
        let (third, capacity_freed) = third.try_start(&[("a", 2)]).err().unwrap();
        assert!(
            capacity_freed.is_none(),
            "the counts that it has read are stale"
        );
        drop(third.try_start(&[("a", 2)]).ok().unwrap());
        drop(second);
        assert!(attempts.with_state(|buckets| buckets.is_empty()));
    }

    #[test]
    fn failures_of_other_keys_are_ignored() {
        let attempts = Arc::new(InFlight::default());
        let stranger = attempts
            .register(&["address"])
            .try_start(&[("address", 1)])
            .ok()
            .unwrap();
        let owner = attempts.register(&["address", "name at address"]);
        stranger.release_counted();
        drop(owner.try_start(&[("name at address", 1)]).ok().unwrap());
        assert!(attempts.with_state(|buckets| buckets.is_empty()));
    }

    #[test]
    fn dropped_waiter_releases_its_state() {
        let attempts = Arc::new(InFlight::default());
        drop(attempts.register(&["a", "b", "c"]));
        let permit = attempts
            .register(&["a", "b", "c"])
            .try_start(&[("a", 1), ("b", 1)])
            .ok()
            .unwrap();
        assert_eq!(attempts.with_state(|buckets| buckets.len()), 2);
        drop(permit);
        assert!(attempts.with_state(|buckets| buckets.is_empty()));
    }

    #[test]
    fn started_attempt_wakes_the_next_while_capacity_remains() {
        let attempts = Arc::new(InFlight::default());
        let register = || attempts.register(&["a"]);
        let in_flight = [(); 2].map(|()| register().try_start(&[("a", 2)]).ok().unwrap());
        let (first, capacity_freed) = register().try_start(&[("a", 2)]).err().unwrap();
        let (second, _) = register().try_start(&[("a", 2)]).err().unwrap();
        let capacity_freed = capacity_freed.unwrap();
        let is_woken = || capacity_freed.notified().now_or_never().is_some();
        // The start of the first attempt left one notification, because capacity remained.
        assert!(is_woken() && !is_woken());
        // Two releases without a waiting task leave one notification.
        drop(in_flight);
        assert!(is_woken() && !is_woken());
        let _first = first.try_start(&[("a", 2)]).ok().unwrap();
        assert!(is_woken());
        let _second = second.try_start(&[("a", 2)]).ok().unwrap();
        assert!(!is_woken(), "no capacity is left");
    }
}
