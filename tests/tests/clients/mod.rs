//! Tests of real clients: the demo and its page, the example services, and the public Python
//! client.

pub(crate) mod demo;
pub(crate) mod examples;
pub(crate) mod live;
pub(crate) mod unicat;
pub(crate) mod unicat_sync;
