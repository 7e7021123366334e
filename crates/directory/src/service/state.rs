//! The parts of the directory that the gRPC methods use.

use tokio_util::sync::CancellationToken;

use crate::Directory;

/// The gRPC service.
pub(crate) struct Service {
    pub(crate) directory: Directory,
    pub(crate) shutdown: CancellationToken,
}
