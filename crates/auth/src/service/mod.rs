//! The gRPC service of auth: each method parses the request, calls one rule and converts the
//! result. It decides nothing itself.

mod accounts;
mod api_keys;
mod audit;
mod dispatch;
mod login;
mod request;
mod state;
mod tokens;

pub(crate) use state::Service;
