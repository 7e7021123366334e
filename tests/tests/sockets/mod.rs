//! Tests of real-time delivery over Socket.IO: connections, protocols, events, revocation and slow
//! readers.

pub(crate) mod connect;
pub(crate) mod engine_io;
pub(crate) mod hostile;
pub(crate) mod processes;
pub(crate) mod project_feed;
pub(crate) mod revoked;
pub(crate) mod slow;
pub(crate) mod sync;
