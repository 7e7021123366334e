//! Who listens to which scope.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

/// Concerns everybody.
pub(crate) const EVERYONE: &str = "all";

/// The names are kept once, however many listen.
#[derive(Default)]
pub(crate) struct Audiences {
    subscribers: HashMap<Arc<str>, HashSet<u64>>,
}

impl Audiences {
    pub(crate) fn add(&mut self, listener: u64, scopes: &[String]) -> Box<[Arc<str>]> {
        scopes
            .iter()
            .map(|scope| self.add_one(listener, scope))
            .collect()
    }

    fn add_one(&mut self, listener: u64, scope: &str) -> Arc<str> {
        let name = match self.subscribers.get_key_value(scope) {
            Some((name, _)) => name.clone(),
            None => scope.into(),
        };
        self.subscribers
            .entry(name.clone())
            .or_default()
            .insert(listener);
        name
    }

    pub(crate) fn remove(&mut self, listener: u64, scopes: &[Arc<str>]) {
        for scope in scopes {
            let is_empty = self.subscribers.get_mut(scope).is_some_and(|listeners| {
                listeners.remove(&listener);
                listeners.is_empty()
            });
            if is_empty {
                self.subscribers.remove(scope);
            }
        }
    }

    /// Not for [`EVERYONE`].
    pub(crate) fn subscribers(&self, scope: &str) -> impl Iterator<Item = u64> {
        self.subscribers.get(scope).into_iter().flatten().copied()
    }

    #[cfg(test)]
    pub(crate) fn is_empty(&self) -> bool {
        self.subscribers.is_empty()
    }
}
