//! The connected sockets, by id and counted by user.

use std::{
    collections::HashMap,
    sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard},
};

use doorward_domain::Gid;
use socketioxide::socket::Sid;

use crate::{connected_socket::ConnectedSocket, limits::MAX_SOCKETS};

/// Maximum number of sockets of one user. It is half of all sockets, so that no user can take all.
const MAX_SOCKETS_PER_USER: usize = MAX_SOCKETS / 2;

/// The connected sockets of this process.
#[derive(Default)]
pub(crate) struct ConnectedSockets(RwLock<Connected>);

#[derive(Default)]
struct Connected {
    by_sid: HashMap<Sid, Arc<ConnectedSocket>>,
    counts: HashMap<Gid, usize>,
}

impl ConnectedSockets {
    pub(crate) fn count(&self) -> usize {
        self.read().by_sid.len()
    }

    /// Returns whether a user has the maximum number of sockets.
    pub(crate) fn is_full_for(&self, user: Gid) -> bool {
        self.read()
            .counts
            .get(&user)
            .is_some_and(|count| *count >= MAX_SOCKETS_PER_USER)
    }

    pub(crate) fn find(&self, sid: Sid) -> Option<Arc<ConnectedSocket>> {
        self.read().by_sid.get(&sid).cloned()
    }

    pub(crate) fn list(&self) -> Vec<(Sid, Arc<ConnectedSocket>)> {
        self.read()
            .by_sid
            .iter()
            .map(|(sid, socket)| (*sid, socket.clone()))
            .collect()
    }

    /// Adds a socket. Returns the earlier one with the same id: a client can connect twice over one
    /// connection.
    pub(crate) fn insert(
        &self,
        sid: Sid,
        socket: Arc<ConnectedSocket>,
    ) -> Option<Arc<ConnectedSocket>> {
        let mut connected = self.write();
        *connected.counts.entry(socket.user()).or_default() += 1;
        let earlier = connected.by_sid.insert(sid, socket);
        connected.after_removal(earlier)
    }

    /// Returns whether this is the socket with this id. It is not if it was removed, or if its
    /// client has connected again since.
    pub(crate) fn is_current(&self, sid: Sid, socket: &Arc<ConnectedSocket>) -> bool {
        self.read().is_current(sid, socket)
    }

    /// Removes this socket, unless another one has its id now. Returns whether it was removed.
    pub(crate) fn remove(&self, sid: Sid, socket: &Arc<ConnectedSocket>) -> bool {
        let mut connected = self.write();
        if !connected.is_current(sid, socket) {
            return false;
        }
        let removed = connected.by_sid.remove(&sid);
        connected.after_removal(removed).is_some()
    }

    fn read(&self) -> RwLockReadGuard<'_, Connected> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Connected> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Connected {
    fn is_current(&self, sid: Sid, socket: &Arc<ConnectedSocket>) -> bool {
        self.by_sid
            .get(&sid)
            .is_some_and(|current| Arc::ptr_eq(current, socket))
    }

    /// Updates the counts after `removed` was taken out of the map, and returns it.
    fn after_removal(
        &mut self,
        removed: Option<Arc<ConnectedSocket>>,
    ) -> Option<Arc<ConnectedSocket>> {
        if let Some(user) = removed.as_ref().map(|socket| socket.user())
            && let Some(count) = self.counts.get_mut(&user)
        {
            *count -= 1;
            if *count == 0 {
                self.counts.remove(&user);
            }
        }
        set_socket_gauge(self.by_sid.len());
        removed
    }
}

#[expect(clippy::cast_precision_loss, reason = "at most 20,000 sockets")]
fn set_socket_gauge(count: usize) {
    metrics::gauge!("doorward_sockets_open").set(count as f64);
}
