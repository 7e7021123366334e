//! How many attempts with one name, or from one address, may be on their way at once in this process. Without it, many
//! parallel guesses would all be admitted before the first of them is counted.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::sync::Notify;

#[derive(Default)]
pub(crate) struct ClientAuthenticator {
    slots: Mutex<HashMap<String, BucketState>>,
}

#[derive(Default)]
struct BucketState {
    /// Who holds a ticket or a permit.
    holders: usize,
    in_flight: usize,
    /// How many have failed: whoever read the counts before that must read them again.
    failures: u64,
    capacity_freed: Arc<Notify>,
}

/// Somebody at the gate, with what they saw when they came.
pub(crate) struct Waiter {
    gate: Arc<ClientAuthenticator>,
    observed_failures: Vec<(String, u64)>,
}

/// Somebody who was let through. Others are let through in their place when this goes away.
pub(crate) struct Permit {
    gate: Arc<ClientAuthenticator>,
    keys: Vec<String>,
    outcome: Outcome,
}

/// Whether the counts have changed by somebody who was let through.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Outcome {
    FailureCounted,
    NotCounted,
}

impl Permit {
    /// The failure is in the counts.
    pub(crate) fn release_counted(mut self) {
        self.outcome = Outcome::FailureCounted;
    }
}

impl ClientAuthenticator {
    fn with_state<T>(&self, work: impl FnOnce(&mut HashMap<String, BucketState>) -> T) -> T {
        work(&mut self.slots.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// To be taken before the counts are read.
    pub(crate) fn register(self: &Arc<Self>, keys: &[&str]) -> Waiter {
        let seen = self.with_state(|slots| {
            let look = |key: &&str| {
                let slot = slots.entry((*key).to_owned()).or_default();
                slot.holders += 1;
                ((*key).to_owned(), slot.failures)
            };
            keys.iter().map(look).collect()
        });
        Waiter {
            gate: self.clone(),
            observed_failures: seen,
        }
    }

    fn release(&self, key: &str, left: Option<Outcome>) {
        self.with_state(|slots| {
            let Some(slot) = slots.get_mut(key) else {
                return;
            };
            slot.holders = slot.holders.saturating_sub(1);
            if let Some(outcome) = left {
                slot.in_flight = slot.in_flight.saturating_sub(1);
                slot.failures += u64::from(outcome == Outcome::FailureCounted);
            }
            // Also from one who was refused: the next learns of it in turn.
            slot.capacity_freed.notify_one();
            if slot.holders == 0 {
                slots.remove(key);
            }
        });
    }
}

impl Waiter {
    /// Lets its holder through when there is room at each of these keys and no attempt has failed with one of them since; else hands back the ticket, and what to wait for unless it is only that the counts must be read again.
    pub(crate) fn try_start(
        mut self,
        rooms: &[(&str, usize)],
    ) -> Result<Permit, (Self, Option<Arc<Notify>>)> {
        let gate = self.gate.clone();
        let refused = gate.with_state(|slots| {
            let mut is_stale = false;
            // Failures of others by keys that don't apply to this attempt are nothing to it.
            for (key, seen) in self
                .observed_failures
                .iter_mut()
                .filter(|(key, _)| rooms.iter().any(|(asked, _)| asked == key))
            {
                let failed = slots.get(key).map_or(0, |slot| slot.failures);
                is_stale |= std::mem::replace(seen, failed) != failed;
            }
            if is_stale {
                return Some(None);
            }
            for (position, (key, room)) in rooms.iter().enumerate() {
                if let Some(slot) = slots.get(*key).filter(|slot| slot.in_flight >= *room) {
                    // Whoever waits at the keys before, where there is room, may have been woken in vain.
                    let passed = rooms
                        .iter()
                        .take(position)
                        .filter_map(|(key, _)| slots.get(*key));
                    passed.for_each(|slot| slot.capacity_freed.notify_one());
                    return Some(Some(slot.capacity_freed.clone()));
                }
            }
            for (key, room) in rooms {
                if let Some(slot) = slots.get_mut(*key) {
                    slot.in_flight += 1;
                    if slot.in_flight < *room {
                        slot.capacity_freed.notify_one();
                    }
                }
            }
            None
        });
        if let Some(wait_for) = refused {
            return Err((self, wait_for));
        }
        let keys = std::mem::take(&mut self.observed_failures)
            .into_iter()
            .map(|(key, _)| key);
        let (keys, others): (Vec<String>, Vec<String>) =
            keys.partition(|key| rooms.iter().any(|(asked, _)| asked == key));
        others.iter().for_each(|key| gate.release(key, None));
        Ok(Permit {
            gate,
            keys,
            outcome: Outcome::NotCounted,
        })
    }
}

impl Drop for Waiter {
    fn drop(&mut self) {
        self.observed_failures
            .iter()
            .for_each(|(key, _)| self.gate.release(key, None));
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.keys
            .iter()
            .for_each(|key| self.gate.release(key, Some(self.outcome)));
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[test]
    fn attempts_in_flight_are_limited() {
        let gate = Arc::new(ClientAuthenticator::default());
        let first = gate.register(&["a"]).try_start(&[("a", 2)]).ok().unwrap();
        let second = gate.register(&["a"]).try_start(&[("a", 2)]).ok().unwrap();
        let (third, wait_for) = gate.register(&["a"]).try_start(&[("a", 2)]).err().unwrap();
        assert!(wait_for.is_some());
        first.release_counted();
        let (third, wait_for) = third.try_start(&[("a", 2)]).err().unwrap();
        assert!(wait_for.is_none(), "what it read is stale");
        drop(third.try_start(&[("a", 2)]).ok().unwrap());
        drop(second);
        assert!(gate.with_state(|slots| slots.is_empty()));
    }

    #[test]
    fn failures_of_other_keys_are_ignored() {
        let gate = Arc::new(ClientAuthenticator::default());
        let stranger = gate
            .register(&["address"])
            .try_start(&[("address", 1)])
            .ok()
            .unwrap();
        let owner = gate.register(&["address", "name at address"]);
        stranger.release_counted();
        drop(owner.try_start(&[("name at address", 1)]).ok().unwrap());
        assert!(gate.with_state(|slots| slots.is_empty()));
    }

    #[test]
    fn dropped_waiter_releases_its_state() {
        let gate = Arc::new(ClientAuthenticator::default());
        drop(gate.register(&["a", "b", "c"]));
        let permit = gate
            .register(&["a", "b", "c"])
            .try_start(&[("a", 1), ("b", 1)])
            .ok()
            .unwrap();
        assert_eq!(gate.with_state(|slots| slots.len()), 2);
        drop(permit);
        assert!(gate.with_state(|slots| slots.is_empty()));
    }

    #[test]
    fn started_attempt_wakes_the_next_while_capacity_remains() {
        let gate = Arc::new(ClientAuthenticator::default());
        let approach = || gate.register(&["a"]);
        let inside = [(); 2].map(|()| approach().try_start(&[("a", 2)]).ok().unwrap());
        let (first, wait_for) = approach().try_start(&[("a", 2)]).err().unwrap();
        let (second, _) = approach().try_start(&[("a", 2)]).err().unwrap();
        let wait_for = wait_for.unwrap();
        let is_woken = || wait_for.notified().now_or_never().is_some();
        // From the first who entered.
        assert!(is_woken() && !is_woken());
        // Two leave before anyone looks: that is one notification.
        drop(inside);
        assert!(is_woken() && !is_woken());
        let _first = first.try_start(&[("a", 2)]).ok().unwrap();
        assert!(is_woken());
        let _second = second.try_start(&[("a", 2)]).ok().unwrap();
        assert!(!is_woken(), "there is no more room");
    }
}
