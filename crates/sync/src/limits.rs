//! Limits and intervals that several modules use.

use std::time::Duration;

/// Interval of the pings to a client.
pub(crate) const PING_INTERVAL: Duration = Duration::from_secs(25);
/// Time in which a client must answer a ping.
pub(crate) const PING_TIMEOUT: Duration = Duration::from_secs(20);
/// Maximum number of sockets, and of WebSocket connections.
pub(crate) const MAX_SOCKETS: usize = 20_000;
/// Maximum size of a message of a client, over either transport.
pub(crate) const MAX_MESSAGE_BYTES: u64 = 100_000;
