//! One connected socket: its login, its subscription and the pending end of its connection. It
//! knows neither the hub nor the directory.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError, atomic::AtomicBool},
    time::Instant,
};

use doorward_domain::Gid;
use doorward_token::Claims;
use serde::{Serialize, Serializer, ser::Error};
use serde_json::json;
use socketioxide::{SendError, SocketError, extract::SocketRef};

use crate::close_handle::CloseHandle;

/// Arguments of a Socket.IO event without arguments.
const NO_ARGUMENTS: [(); 0] = [];

/// A connected socket.
pub(crate) struct ConnectedSocket {
    socket: SocketRef,
    /// Closes the connection; absent if the request that opened it had no handle.
    pub(crate) close_handle: Option<CloseHandle>,
    /// Number of the socket among those of the same connection.
    pub(crate) number: u64,
    login: Mutex<Arc<Login>>,
    following: Mutex<Following>,
    /// Whether an `init` waits for its response.
    pub(crate) has_pending_init: AtomicBool,
    /// Lock that an `init` holds until its subscription has begun, which is after its response.
    pub(crate) init_lock: tokio::sync::Mutex<()>,
    /// Whether a renewal of the token is in flight.
    pub(crate) is_renewing: AtomicBool,
    end_reason: Mutex<Option<EndReason>>,
}

/// Whether the socket receives events of the feed.
#[derive(Default)]
struct Following {
    /// Id of the subscriber in the hub, while the socket receives events.
    subscriber: Option<u64>,
    /// Whether the socket missed events and `cursor_expired` must still be sent.
    is_expired: bool,
}

/// The token of a socket. A renewal replaces it.
pub(crate) struct Login {
    pub(crate) token: String,
    pub(crate) claims: Claims,
    /// Earliest time of the next renewal, for a pause after one that failed.
    pub(crate) next_renewal_at: Instant,
}

/// Why a socket will be disconnected, and what is sent to it before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum EndReason {
    /// The token is invalid: `authorization` with a null token is sent first.
    TokenInvalid,
    /// Nothing is sent first.
    Silent,
    /// Everything was sent and only the disconnection is left. Set by
    /// [`ConnectedSocket::send_end`].
    Notified,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SendOutcome {
    Done,
    /// The queue of the socket has no room.
    Full,
    Closed,
}

impl ConnectedSocket {
    pub(crate) fn new(socket: SocketRef, login: Login) -> Self {
        let close_handle: Option<CloseHandle> = socket.req_parts().extensions.get().cloned();
        Self {
            number: close_handle.as_ref().map_or(0, CloseHandle::add_socket),
            close_handle,
            socket,
            login: Mutex::new(Arc::new(login)),
            following: Mutex::default(),
            has_pending_init: AtomicBool::new(false),
            init_lock: tokio::sync::Mutex::new(()),
            is_renewing: AtomicBool::new(false),
            end_reason: Mutex::new(None),
        }
    }

    pub(crate) fn login(&self) -> Arc<Login> {
        lock(&self.login).clone()
    }

    /// Returns the user of the socket, which a renewal does not change.
    pub(crate) fn user(&self) -> Gid {
        self.login().claims.sub
    }

    pub(crate) fn set_login(&self, login: Login) {
        *lock(&self.login) = Arc::new(login);
    }

    /// Replaces the subscriber id and returns the earlier one. Events that the socket missed under
    /// the earlier id no longer matter.
    pub(crate) fn set_subscriber_id(&self, subscriber: Option<u64>) -> Option<u64> {
        let mut following = lock(&self.following);
        following.is_expired = false;
        std::mem::replace(&mut following.subscriber, subscriber)
    }

    /// Returns whether this is the current subscriber id. It is not if the client has sent another
    /// `init` since.
    pub(crate) fn is_subscriber(&self, subscriber: u64) -> bool {
        lock(&self.following).subscriber == Some(subscriber)
    }

    /// Ends the subscription with this id, because the socket missed events. The client must send
    /// another `init`.
    pub(crate) fn expire(&self, subscriber: u64) {
        let mut following = lock(&self.following);
        if following.subscriber == Some(subscriber) {
            *following = Following {
                subscriber: None,
                is_expired: true,
            };
        }
        drop(following);
        self.send_expired();
    }

    /// Sends `cursor_expired` if it is pending and the queue has room. Otherwise it stays pending,
    /// and the caller must call this again later.
    pub(crate) fn send_expired(&self) {
        if self.is_ending() {
            return;
        }
        let mut following = lock(&self.following);
        if following.is_expired && self.emit("cursor_expired", &NO_ARGUMENTS) != SendOutcome::Full {
            following.is_expired = false;
        }
    }

    /// Marks the socket as ending: from now on only its end is sent. The first reason counts.
    pub(crate) fn end_with(&self, end: EndReason) {
        lock(&self.end_reason).get_or_insert(end);
    }

    pub(crate) fn is_ending(&self) -> bool {
        lock(&self.end_reason).is_some()
    }

    pub(crate) fn send_outcome(&self, result: Result<(), SendError>) -> SendOutcome {
        to_outcome(result.err().as_ref())
    }

    pub(crate) fn emit<T: Serialize + ?Sized>(&self, event: &str, data: &T) -> SendOutcome {
        to_outcome(self.socket.emit(event, data).err().as_ref())
    }

    /// Returns whether an event could be sent now, without sending one. The library checks for room
    /// before it serializes the data, and this data cannot be serialized.
    pub(crate) fn can_send(&self) -> SendOutcome {
        to_outcome(self.socket.emit("", &Unserializable).err().as_ref())
    }

    /// Sends the end and disconnects, as far as the queue has room. The caller must call this again
    /// until the socket is disconnected.
    pub(crate) fn send_end(&self) {
        let Some(end) = *lock(&self.end_reason) else {
            return;
        };
        // The client has left. The library would still send a disconnect packet over the open
        // connection, and the client would apply it to the next socket there.
        if !self.socket.connected() {
            return;
        }
        let outcome = match end {
            EndReason::TokenInvalid => self.emit("authorization", &json!({"JWT": null})),
            EndReason::Silent | EndReason::Notified => SendOutcome::Done,
        };
        if outcome != SendOutcome::Full {
            *lock(&self.end_reason) = Some(EndReason::Notified);
            // Without room for this packet the socket stays connected. The ping needs room as well,
            // so the library then ends the connection when the ping is due, at most 25 s later.
            let _ = self.socket.clone().disconnect();
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn to_outcome(error: Option<&SendError>) -> SendOutcome {
    match error {
        None | Some(SendError::Serialize(_)) => SendOutcome::Done,
        Some(SendError::Socket(SocketError::InternalChannelFull)) => SendOutcome::Full,
        Some(SendError::Socket(SocketError::Closed)) => SendOutcome::Closed,
    }
}

/// Data whose serialization always fails. See [`ConnectedSocket::can_send`].
struct Unserializable;

impl Serialize for Unserializable {
    fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        Err(S::Error::custom("this value is never serialized"))
    }
}
