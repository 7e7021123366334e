//! Tests of the change feed over HTTP and gRPC: `/sync/get`, visibility, publishing, replicas and
//! retention.

pub(crate) mod calls;
mod errors;
pub(crate) mod following;
pub(crate) mod publish;
pub(crate) mod release;
pub(crate) mod replicas;
pub(crate) mod retention;
pub(crate) mod visibility;
