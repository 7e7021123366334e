//! Closes a connection from elsewhere.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

/// Closes a connection. It is in the extensions of the request that opened the connection.
#[derive(Clone, Default)]
pub(crate) struct CloseHandle {
    connection: CancellationToken,
    /// Number of sockets that were connected over this connection so far, one after the other.
    socket_count: Arc<AtomicU64>,
}

impl CloseHandle {
    /// Counts a new socket of the connection and returns its number.
    pub(crate) fn add_socket(&self) -> u64 {
        self.socket_count.fetch_add(1, Ordering::AcqRel) + 1
    }

    /// Closes the connection, unless a later socket than this one was connected over it.
    pub(crate) fn close_after_socket(&self, number: u64) {
        if self.socket_count.load(Ordering::Acquire) == number {
            self.connection.cancel();
        }
    }

    /// Completes when the connection must be closed.
    pub(crate) fn closed(self) -> WaitForCancellationFutureOwned {
        self.connection.cancelled_owned()
    }
}
