//! The tables of auth: short functions over a connection, one file for each noun. Row structs do
//! not leave their file, and no rule is decided here.

pub(crate) mod api_key;
pub(crate) mod audit;
pub(crate) mod code;
pub(crate) mod credential;
pub(crate) mod feed_position;
pub(crate) mod known_network;
pub(crate) mod revocation;
mod schema;
pub(crate) mod secret;
pub(crate) mod signing_key;
pub(crate) mod throttle;
pub(crate) mod trust_version;
