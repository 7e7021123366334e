//! The sockets that are connected.

use std::{
    collections::HashMap,
    sync::{Arc, PoisonError, RwLock},
};

use socketioxide::socket::Sid;

use crate::client::Client;

#[derive(Default)]
pub(crate) struct Clients {
    by_sid: RwLock<HashMap<Sid, Arc<Client>>>,
}

impl Clients {
    pub(crate) fn count(&self) -> usize {
        self.by_sid.read().unwrap_or_else(PoisonError::into_inner).len()
    }

    pub(crate) fn find(&self, sid: Sid) -> Option<Arc<Client>> {
        self.by_sid.read().unwrap_or_else(PoisonError::into_inner).get(&sid).cloned()
    }

    pub(crate) fn list(&self) -> Vec<(Sid, Arc<Client>)> {
        let by_sid = self.by_sid.read().unwrap_or_else(PoisonError::into_inner);
        by_sid.iter().map(|(sid, client)| (*sid, client.clone())).collect()
    }

    /// Returns the one whose place it takes: a client may connect twice over one connection.
    pub(crate) fn insert(&self, sid: Sid, client: Arc<Client>) -> Option<Arc<Client>> {
        let mut by_sid = self.by_sid.write().unwrap_or_else(PoisonError::into_inner);
        let earlier = by_sid.insert(sid, client);
        tell(by_sid.len());
        earlier
    }

    pub(crate) fn remove(&self, sid: Sid) -> Option<Arc<Client>> {
        let mut by_sid = self.by_sid.write().unwrap_or_else(PoisonError::into_inner);
        let removed = by_sid.remove(&sid);
        tell(by_sid.len());
        removed
    }
}

#[expect(clippy::cast_precision_loss, reason = "there are never so many")]
fn tell(count: usize) {
    metrics::gauge!("doorward_sockets_open").set(count as f64);
}
