//! gRPC methods for logins. The rules are in `crate::login`.

use doorward_domain::{Timestamp, Username};
use doorward_rpc::{RpcError, auth::v1 as pb, server::request_ids};
use tonic::{Request, Response};

use crate::{
    login::attempt::{ApiKeyAttempt, PasswordAttempt},
    service::{
        request::{RpcResult, anonymous_origin, parse_gid, parse_optional_gid},
        state::Service,
    },
};

pub(super) async fn verify_password(
    service: &Service,
    request: Request<pb::VerifyPasswordRequest>,
) -> RpcResult<pb::VerifyPasswordResponse> {
    let request_id = request_ids(&request);
    let request = request.into_inner();
    let (address, origin) = anonymous_origin(&request.client_address, request_id)?;
    let attempt = PasswordAttempt {
        user: parse_optional_gid(request.user_gid.as_deref(), "user_gid")?,
        is_login_allowed: request.is_login_allowed,
        username: Username::normalize_for_lookup(&request.username),
        password: request.password,
        checked_at: cap_at_now(service, request.user_checked_at),
        project: parse_optional_gid(request.project_gid.as_deref(), "project_gid")?,
        address,
        origin,
    };
    let token = service
        .logins
        .clone()
        .log_in_with_password(attempt)
        .await
        .map_err(RpcError::from)?;
    Ok(Response::new(pb::VerifyPasswordResponse { token }))
}

pub(super) async fn find_api_key(
    service: &Service,
    request: Request<pb::FindApiKeyRequest>,
) -> RpcResult<pb::FindApiKeyResponse> {
    let request_id = request_ids(&request);
    let request = request.into_inner();
    let (address, origin) = anonymous_origin(&request.client_address, request_id)?;
    let user = service
        .logins
        .find_api_key_user(request.api_key, address, &origin)
        .await
        .map_err(RpcError::from)?;
    Ok(Response::new(pb::FindApiKeyResponse {
        user_gid: user.map(|user| user.to_string()),
    }))
}

pub(super) async fn verify_api_key(
    service: &Service,
    request: Request<pb::VerifyApiKeyRequest>,
) -> RpcResult<pb::VerifyApiKeyResponse> {
    let request_id = request_ids(&request);
    let request = request.into_inner();
    let (address, origin) = anonymous_origin(&request.client_address, request_id)?;
    let attempt = ApiKeyAttempt {
        user: parse_optional_gid(request.user_gid.as_deref(), "user_gid")?,
        project: parse_gid(&request.project_gid, "project_gid")?,
        checked_at: cap_at_now(service, request.user_checked_at),
        api_key: request.api_key,
        address,
        origin,
    };
    let token = service
        .logins
        .log_in_with_api_key(attempt)
        .await
        .map_err(RpcError::from)?;
    Ok(Response::new(pb::VerifyApiKeyResponse { token }))
}

/// Returns the time of the directory's check, but not later than now: with a clock of the
/// directory that is ahead, a login would otherwise be later than a revocation that follows it.
fn cap_at_now(service: &Service, micros: i64) -> Timestamp {
    service.clock.now().min(Timestamp::from_micros(micros))
}
