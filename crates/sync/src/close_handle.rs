//! Closes a connection from elsewhere.

use tokio_util::sync::CancellationToken;

/// Closes a connection. It is in the extensions of the request that opened the connection.
#[derive(Clone, Default)]
pub(crate) struct CloseHandle(pub(crate) CancellationToken);
