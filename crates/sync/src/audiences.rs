//! The subscribers of each audience. It knows neither what an audience means nor what is delivered.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

/// Audience of all users. No subscriber is listed under it.
pub(crate) const EVERYONE: &str = "all";

/// Index of subscribers by audience. Each name is stored once, however many subscribers share it.
#[derive(Default)]
pub(crate) struct Audiences {
    subscribers: HashMap<Arc<str>, HashSet<u64>>,
}

impl Audiences {
    /// Adds a subscriber to audiences. Returns their shared names, for [`Self::remove`].
    pub(crate) fn add(&mut self, subscriber: u64, audiences: &[String]) -> Box<[Arc<str>]> {
        audiences
            .iter()
            .map(|audience| self.add_one(subscriber, audience))
            .collect()
    }

    fn add_one(&mut self, subscriber: u64, audience: &str) -> Arc<str> {
        let name = match self.subscribers.get_key_value(audience) {
            Some((name, _)) => name.clone(),
            None => audience.into(),
        };
        self.subscribers
            .entry(name.clone())
            .or_default()
            .insert(subscriber);
        name
    }

    pub(crate) fn remove(&mut self, subscriber: u64, audiences: &[Arc<str>]) {
        for audience in audiences {
            let is_empty = self
                .subscribers
                .get_mut(audience)
                .is_some_and(|subscribers| {
                    subscribers.remove(&subscriber);
                    subscribers.is_empty()
                });
            if is_empty {
                self.subscribers.remove(audience);
            }
        }
    }

    /// Returns the subscribers of an audience other than [`EVERYONE`].
    pub(crate) fn subscribers(&self, audience: &str) -> impl Iterator<Item = u64> {
        self.subscribers
            .get(audience)
            .into_iter()
            .flatten()
            .copied()
    }

    #[cfg(test)]
    pub(crate) fn is_empty(&self) -> bool {
        self.subscribers.is_empty()
    }
}
