//! Failed logins take the same time, whatever kind of hash was checked: else the time would tell users with imported hashes
//! from users that don't exist.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

/// Kinds are few: those of one import or two.
const MAX_KINDS: usize = 64;

/// How long each kind takes at best: what it costs, without the noise of a busy machine.
#[derive(Default)]
pub(crate) struct Pace {
    fastest: Mutex<HashMap<String, Duration>>,
}

impl Pace {
    /// Notes that a hash of this kind took so long.
    pub(crate) fn note(&self, kind: String, took: Duration) {
        let mut fastest = self.fastest.lock().unwrap_or_else(PoisonError::into_inner);
        if fastest.len() < MAX_KINDS || fastest.contains_key(&kind) {
            fastest.entry(kind).and_modify(|known| *known = took.min(*known)).or_insert(took);
        }
    }

    /// How much longer a failure whose hash took so long must wait, to look like one of the slowest kind. Nothing while
    /// there is but one kind.
    pub(crate) fn rest(&self, took: Duration) -> Duration {
        let fastest = self.fastest.lock().unwrap_or_else(PoisonError::into_inner);
        if fastest.len() < 2 {
            return Duration::ZERO;
        }
        let slowest = fastest.values().max().copied().unwrap_or_default();
        // A little over the best time of the slowest kind, so that its own failures wait too.
        (slowest + slowest / 10).saturating_sub(took)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_wait_for_the_slowest_kind() {
        let ms = Duration::from_millis;
        let pace = Pace::default();
        pace.note("argon2id".to_owned(), ms(26));
        assert_eq!(pace.rest(ms(26)), Duration::ZERO);
        for took in [300, 200, 250] {
            pace.note("bcrypt".to_owned(), ms(took));
        }
        assert_eq!(pace.rest(ms(26)), ms(220 - 26));
        assert_eq!(pace.rest(ms(205)), ms(15));
        assert_eq!(pace.rest(ms(400)), Duration::ZERO);
        (0..1000).for_each(|kind| pace.note(kind.to_string(), ms(900)));
        assert!(pace.fastest.lock().unwrap().len() <= MAX_KINDS);
    }
}
