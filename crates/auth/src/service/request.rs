//! Parsing of what the requests of several methods have in common.

use std::net::IpAddr;

use doorward_domain::Gid;
use doorward_rpc::{RpcError, auth::v1 as pb, channel::RequestIds};
use tonic::{Response, Status};

use crate::model::{Actor, Origin};

/// Result of a gRPC method.
pub(super) type RpcResult<T> = Result<Response<T>, Status>;

/// Parses a gid.
///
/// # Errors
/// An error that names the parameter, if it is malformed.
pub(super) fn parse_gid(text: &str, parameter: &str) -> Result<Gid, RpcError> {
    text.parse()
        .map_err(|_| RpcError::invalid_parameter(parameter))
}

/// Parses a gid that can be missing.
///
/// # Errors
/// An error that names the parameter, if it is malformed.
pub(super) fn parse_optional_gid(
    text: Option<&str>,
    parameter: &str,
) -> Result<Option<Gid>, RpcError> {
    text.map(|text| parse_gid(text, parameter)).transpose()
}

/// Returns the address and the origin of a client that is not authenticated.
///
/// # Errors
/// An error that names the parameter, if the address is malformed.
pub(super) fn anonymous_origin(
    address: &str,
    request_id: RequestIds,
) -> Result<(IpAddr, Origin), RpcError> {
    let address: IpAddr = address
        .parse()
        .map_err(|_| RpcError::invalid_parameter("client_address"))?;
    let RequestIds {
        request_id,
        client_request_id,
    } = request_id;
    let origin = Origin {
        actor: Actor::Service,
        address: Some(address.to_string()),
        request_id,
        client_request_id,
    };
    Ok((address, origin))
}

/// Returns the origin of a call on behalf of a user; without a user, the client is not
/// authenticated.
///
/// # Errors
/// An error that names the parameter, if the actor is missing or malformed.
pub(super) fn actor_origin(
    actor: Option<pb::Actor>,
    request_id: RequestIds,
) -> Result<Origin, RpcError> {
    let actor = actor.ok_or_else(|| RpcError::invalid_parameter("actor"))?;
    let (_, origin) = anonymous_origin(&actor.client_address, request_id)?;
    let user = parse_optional_gid(actor.user_gid.as_deref(), "actor.user_gid")?;
    Ok(user.map_or_else(|| origin.clone(), |user| origin.with_user(user)))
}
