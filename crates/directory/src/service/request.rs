//! Parsing of the fields that requests of several areas have, and the type of all responses.

use doorward_domain::Gid;
use doorward_rpc::RpcError;
use tonic::{Response, Status};

use crate::Caller;

/// Default number of entries in a page.
const PAGE: u32 = 100;
/// Maximum number of entries that a client can ask for.
const MAX_PAGE: u32 = 1000;

pub(super) type RpcResult<T> = Result<Response<T>, Status>;

/// Parses the gid of the caller. Whether the caller is active is checked in the transaction of the
/// rule.
pub(super) fn parse_caller(text: &str) -> Result<Caller, RpcError> {
    parse_gid(text, "caller_gid").map(Caller::from)
}

pub(super) fn parse_gid(text: &str, parameter: &str) -> Result<Gid, RpcError> {
    text.parse()
        .map_err(|_| RpcError::invalid_parameter(parameter))
}

/// Parses the number of entries in a page; 0 is the default.
pub(super) fn parse_page_size(requested: u32) -> Result<i64, RpcError> {
    match requested {
        0 => Ok(PAGE.into()),
        1..=MAX_PAGE => Ok(requested.into()),
        _ => Err(RpcError::invalid_parameter("page_size")),
    }
}
