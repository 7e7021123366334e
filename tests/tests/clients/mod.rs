//! TODO clients

pub(crate) mod demo;
pub(crate) mod examples;
pub(crate) mod live;
pub(crate) mod unicat;
pub(crate) mod unicat_sync;
