//! One connected socket: whose it is, and what it was sent.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError, atomic::AtomicBool},
    time::Instant,
};

use doorward_domain::Gid;
use doorward_token::Claims;
use serde::{Serialize, Serializer, ser::Error};
use serde_json::json;
use socketioxide::{SendError, SocketError, extract::SocketRef};

use crate::upgraded_stream::CloseHandle;

/// Arguments for an event without arguments.
const NO_ARGUMENTS: [(); 0] = [];

pub(crate) struct Client {
    socket: SocketRef,
    /// Of its connection; absent when nobody can.
    pub(crate) close_handle: Option<CloseHandle>,
    login: Mutex<Arc<Login>>,
    following: Mutex<Following>,
    /// An `init` has not been answered yet.
    pub(crate) has_pending_init: AtomicBool,
    /// Held by an `init` until what follows its answer is done, too.
    pub(crate) init_lock: tokio::sync::Mutex<()>,
    pub(crate) is_renewing: AtomicBool,
    end_reason: Mutex<Option<EndReason>>,
}

/// Whether the socket receives events of the feed.
#[derive(Default)]
struct Following {
    /// Its number in the hub, while it receives events.
    listener: Option<u64>,
    /// It has missed events, and `cursor_expired` has not been sent yet.
    is_expired: bool,
}

pub(crate) struct Login {
    pub(crate) token: String,
    pub(crate) claims: Claims,
    /// Not renewed before.
    pub(crate) next_renewal_at: Instant,
}

/// Why a socket is to be disconnected, and what it is told before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum EndReason {
    /// `authorization` with null.
    Denied,
    /// Nothing.
    Quiet,
    /// It was told, and is to be disconnected still.
    FeedEvent,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SendOutcome {
    Done,
    /// There is no room.
    Full,
    Closed,
}

impl Client {
    pub(crate) fn new(socket: SocketRef, login: Login) -> Self {
        Self {
            close_handle: socket.req_parts().extensions.get().cloned(),
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

    /// Whose it is: a renewal changes nothing about it.
    pub(crate) fn user(&self) -> Gid {
        self.login().claims.sub
    }

    pub(crate) fn set_login(&self, login: Login) {
        *lock(&self.login) = Arc::new(login);
    }

    /// Sets the number under which it receives events from now on, and returns the earlier one. What it missed before no
    /// longer matters.
    pub(crate) fn set_subscriber_id(&self, listener: Option<u64>) -> Option<u64> {
        let mut following = lock(&self.following);
        following.is_expired = false;
        std::mem::replace(&mut following.listener, listener)
    }

    pub(crate) fn is_subscriber(&self, listener: u64) -> bool {
        lock(&self.following).listener == Some(listener)
    }

    /// Ends its events under this number, because it has missed some. The client starts over with an `init`.
    pub(crate) fn expire(&self, listener: u64) {
        let mut following = lock(&self.following);
        if following.listener == Some(listener) {
            *following = Following {
                listener: None,
                is_expired: true,
            };
        }
        drop(following);
        self.send_expired();
    }

    /// Sends `cursor_expired` if that is due and there is room. Must be called again until then.
    pub(crate) fn send_expired(&self) {
        if self.is_ending() {
            return;
        }
        let mut following = lock(&self.following);
        if following.is_expired && self.emit("cursor_expired", &NO_ARGUMENTS) != SendOutcome::Full {
            following.is_expired = false;
        }
    }

    /// Nothing but the end is to be sent from now on. The first reason counts.
    pub(crate) fn end_with(&self, end: EndReason) {
        lock(&self.end_reason).get_or_insert(end);
    }

    pub(crate) fn is_ending(&self) -> bool {
        lock(&self.end_reason).is_some()
    }

    pub(crate) fn send_outcome(&self, result: Result<(), SendError>) -> SendOutcome {
        sent(result.err().as_ref())
    }

    pub(crate) fn emit<T: Serialize + ?Sized>(&self, event: &str, data: &T) -> SendOutcome {
        sent(self.socket.emit(event, data).err().as_ref())
    }

    /// Whether something could be sent. The socket looks for room before it looks at the data, and this can't be written.
    pub(crate) fn can_send(&self) -> SendOutcome {
        sent(self.socket.emit("", &Unserializable).err().as_ref())
    }

    /// As far as there is room for it; to be called again until the socket is gone.
    pub(crate) fn send_end(&self) {
        let Some(end) = *lock(&self.end_reason) else {
            return;
        };
        let sent = match end {
            EndReason::Denied => self.emit("authorization", &json!({"JWT": null})),
            EndReason::Quiet | EndReason::FeedEvent => SendOutcome::Done,
        };
        if sent != SendOutcome::Full {
            *lock(&self.end_reason) = Some(EndReason::FeedEvent);
            // Without room it stays; the heartbeat, which needs room as well, then ends the connection.
            let _ = self.socket.clone().disconnect();
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn sent(error: Option<&SendError>) -> SendOutcome {
    match error {
        None | Some(SendError::Serialize(_)) => SendOutcome::Done,
        Some(SendError::Socket(SocketError::InternalChannelFull)) => SendOutcome::Full,
        Some(SendError::Socket(SocketError::Closed)) => SendOutcome::Closed,
    }
}

struct Unserializable;

impl Serialize for Unserializable {
    fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        Err(S::Error::custom("not to be sent"))
    }
}
