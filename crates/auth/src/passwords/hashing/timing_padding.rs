//! Timing padding of failed logins. Kinds of hashes differ in cost, and without padding the
//! response time would distinguish users with imported hashes from users who do not exist.
//!
//! A failure is padded to the best time of the slowest kind plus the longest recent delay, and the
//! delay counts as at least a tenth of that best time. An example with argon2id at 26 ms and bcrypt
//! at 250 ms:
//!
//! - Without load, checks take 1 ms longer than their best time. Every failure takes 250 ms + 25
//!   ms: one of argon2id waits 248 ms after its check, one of bcrypt 24 ms.
//! - Under load, checks take up to 400 ms longer: they wait in the queue, and share the cores.
//!   Every failure takes 250 ms + 400 ms, so a failure of argon2id still looks like one of bcrypt.
//! - An unknown username is checked against the dummy hash, which is argon2id, and takes as long.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

/// Maximum number of kinds; more than an import or two have.
const MAX_HASH_KINDS: usize = 64;
/// Number of recent checks whose delays count.
const RECENT_CHECKS: usize = 64;
/// Maximum delay that counts. Beyond it the server is overloaded, and rejects logins with 503.
const MAX_PADDING_DELAY: Duration = Duration::from_secs(2);

/// Measured times of hash kinds, and the padding that follows from them.
#[derive(Default)]
pub(crate) struct TimingPadding(Mutex<Timings>);

#[derive(Default)]
struct Timings {
    /// The best time of each kind: its cost, without the noise of a busy machine.
    best: HashMap<String, Duration>,
    /// How much longer than the best time the latest checks took.
    delays: VecDeque<Duration>,
}

impl TimingPadding {
    /// Records one check: the time of the hash itself (`hashing`), and of the check with its time
    /// in the queue (`whole`).
    pub(crate) fn record(&self, kind: String, hashing: Duration, whole: Duration) {
        let mut times = self.lock();
        if times.best.len() >= MAX_HASH_KINDS && !times.best.contains_key(&kind) {
            return;
        }
        let best = times
            .best
            .entry(kind)
            .and_modify(|best| *best = hashing.min(*best))
            .or_insert(hashing);
        let delay = whole.saturating_sub(*best).min(MAX_PADDING_DELAY);
        if times.delays.len() >= RECENT_CHECKS {
            times.delays.pop_front();
        }
        times.delays.push_back(delay);
    }

    /// Returns how much longer a failed check that took `whole` must wait. Zero while there is only
    /// one kind.
    pub(crate) fn padding(&self, whole: Duration) -> Duration {
        let times = self.lock();
        if times.best.len() < 2 {
            return Duration::ZERO;
        }
        let slowest = times.best.values().max().copied().unwrap_or_default();
        let delay = times.delays.iter().max().copied().unwrap_or_default();
        // At least a tenth, so that failures of the slowest kind are padded too, and small
        // differences between checks do not show.
        (slowest + delay.max(slowest / 10)).saturating_sub(whole)
    }

    fn lock(&self) -> MutexGuard<'_, Timings> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    fn record(timing: &TimingPadding, kind: &str, hashing: u64, whole: u64) {
        timing.record(kind.to_owned(), ms(hashing), ms(whole));
    }

    #[test]
    fn failed_checks_are_padded_to_the_slowest_hash_kind() {
        let timing = TimingPadding::default();
        record(&timing, "argon2id", 26, 27);
        assert_eq!(timing.padding(ms(27)), Duration::ZERO, "there is one kind");
        for hashing in [210, 200, 205] {
            record(&timing, "bcrypt", hashing, hashing + 1);
        }
        assert_eq!(timing.padding(ms(27)), ms(220 - 27));
        assert_eq!(timing.padding(ms(206)), ms(14));
        assert_eq!(timing.padding(ms(400)), Duration::ZERO);
    }

    #[test]
    fn padding_follows_recent_queue_delays() {
        let timing = TimingPadding::default();
        record(&timing, "argon2id", 26, 26);
        record(&timing, "bcrypt", 200, 200);
        // The queue delays a cheap kind as long as an expensive one.
        record(&timing, "argon2id", 80, 426);
        assert_eq!(timing.padding(ms(100)), ms(600 - 100));
        assert_eq!(timing.padding(ms(500)), ms(100));
        for _ in 0..RECENT_CHECKS {
            record(&timing, "argon2id", 26, 27);
        }
        assert_eq!(timing.padding(ms(27)), ms(220 - 27));
        record(&timing, "argon2id", 26, 60_000);
        assert_eq!(timing.padding(ms(0)), ms(200) + MAX_PADDING_DELAY);
    }

    #[test]
    fn kinds_and_delays_are_bounded() {
        let timing = TimingPadding::default();
        (0..1000).for_each(|kind| record(&timing, &kind.to_string(), 900, 900));
        assert!(
            timing.lock().best.len() <= MAX_HASH_KINDS
                && timing.lock().delays.len() <= RECENT_CHECKS
        );
    }
}
