//! The gateway: it turns HTTP calls with JSON into RPCs to auth and directory, and their responses
//! into JSON. It has no business rules and no SQL.
//!
//! All its state is in memory and can be lost: the trust data that auth streams, caches, and the
//! counts of the rate limits and write budgets.

mod app;
mod config;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
mod gateway;
mod handlers;
mod http;
mod media;
mod media_cleanup;
mod openapi;
mod peers;
mod serve;
mod session;

pub use crate::{
    config::Config,
    gateway::Gateway,
    http::{static_pages::Page, write_budget::WriteBudget},
    openapi::openapi_json,
    peers::{PeerSettings, Peers},
    serve::serve,
};
