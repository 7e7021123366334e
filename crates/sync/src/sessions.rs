//! Engine.IO sessions that began with polling: the client network that each belongs to, and its
//! open poll.
//!
//! A session id is part of the URL of every request, so it appears in the logs of proxies. A reader
//! of such a log must not be able to read the session, so only the client network that opened a
//! session can use it.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv6Addr},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicBool, Ordering},
    },
};

use socketioxide::socket::Sid;
use tokio_util::sync::CancellationToken;

/// The sessions of this process. The library owns each session, in the extensions of the request
/// that opened it; this map only has weak references.
#[derive(Default)]
pub(crate) struct PollingSessions(Mutex<HashMap<Sid, Weak<PollingSession>>>);

/// One session that began with polling.
pub(crate) struct PollingSession {
    /// See [`network`].
    network: IpAddr,
    is_polled: AtomicBool,
    is_upgraded: AtomicBool,
    /// Cancelled when the session ends although a poll is open.
    pub(crate) closed: CancellationToken,
}

/// The right to be the only open poll of a session.
pub(crate) struct OpenPoll<'a>(&'a PollingSession);

impl PollingSession {
    pub(crate) fn new(client: IpAddr) -> Self {
        Self {
            network: network(client),
            is_polled: AtomicBool::new(false),
            is_upgraded: AtomicBool::new(false),
            closed: CancellationToken::new(),
        }
    }

    /// Opens the poll of this session. Returns `None` while another poll is open.
    pub(crate) fn open_poll(&self) -> Option<OpenPoll<'_>> {
        (!self.is_polled.swap(true, Ordering::AcqRel)).then_some(OpenPoll(self))
    }

    /// Returns true for the first WebSocket of the session, which takes the session over or ends
    /// it.
    pub(crate) fn try_upgrade(&self) -> bool {
        !self.is_upgraded.swap(true, Ordering::AcqRel)
    }
}

impl Drop for OpenPoll<'_> {
    fn drop(&mut self) {
        self.0.is_polled.store(false, Ordering::Release);
    }
}

impl PollingSessions {
    pub(crate) fn insert(&self, sid: Sid, session: &Arc<PollingSession>) {
        self.lock().insert(sid, Arc::downgrade(session));
    }

    /// Finds a session of this client. A session of another client counts as missing.
    pub(crate) fn find(&self, sid: Sid, client: IpAddr) -> Option<Arc<PollingSession>> {
        self.lock()
            .get(&sid)?
            .upgrade()
            .filter(|session| session.network == network(client))
    }

    pub(crate) fn remove(&self, sid: Sid) {
        self.lock().remove(&sid);
    }

    /// Removes sessions that the library has ended.
    pub(crate) fn remove_ended(&self) {
        self.lock().retain(|_, session| session.strong_count() > 0);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Sid, Weak<PollingSession>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns the network of a client: an IPv4 address unchanged, an IPv6 address as its /64 prefix,
/// because a device changes its address within the prefix (RFC 8981).
fn network(client: IpAddr) -> IpAddr {
    match client.to_canonical() {
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
        v4 @ IpAddr::V4(_) => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn session_is_found_only_by_its_client_and_while_alive() {
        let sessions = PollingSessions::default();
        let sid = Sid::new();
        let session = Arc::new(PollingSession::new(address("2001:db8:1:2::1")));
        sessions.insert(sid, &session);
        assert!(
            sessions
                .find(sid, address("2001:db8:1:2:ffff::9"))
                .is_some()
        );
        for foreign in ["2001:db8:1:3::1", "192.0.2.1"] {
            assert!(sessions.find(sid, address(foreign)).is_none(), "{foreign}");
        }
        assert!(
            sessions
                .find(Sid::new(), address("2001:db8:1:2::1"))
                .is_none()
        );
        drop(session);
        assert!(sessions.find(sid, address("2001:db8:1:2::1")).is_none());
        sessions.remove_ended();
        assert!(sessions.lock().is_empty());
    }

    #[test]
    fn one_poll_and_one_upgrade_per_session() {
        let session = PollingSession::new(address("192.0.2.1"));
        let poll = session.open_poll();
        assert!(poll.is_some() && session.open_poll().is_none());
        drop(poll);
        assert!(session.open_poll().is_some());
        assert!(session.try_upgrade() && !session.try_upgrade());
    }
}
