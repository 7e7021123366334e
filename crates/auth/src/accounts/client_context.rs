//! The client on whose request a call about an account is made.

use std::net::IpAddr;

use crate::model::Origin;

/// The client of a call.
#[derive(Debug, Clone)]
pub(crate) struct ClientContext {
    pub(crate) client_address: IpAddr,
    pub(crate) origin: Origin,
}
