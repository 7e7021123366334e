//! HTTP itself: connections, bodies, headers, limits and errors. It knows no call of the API; these
//! are in `handlers`.

pub(crate) mod accept_language;
pub(crate) mod app_data;
pub(crate) mod body;
pub(crate) mod client_address;
pub(crate) mod connection;
pub(crate) mod cors;
pub(crate) mod denials;
pub(crate) mod envelope;
pub(crate) mod middleware;
pub(crate) mod project_path;
pub(crate) mod rate_limit;
pub(crate) mod routing;
pub(crate) mod server;
pub(crate) mod static_pages;
pub(crate) mod upload;
pub(crate) mod websocket;
pub(crate) mod write_budget;
