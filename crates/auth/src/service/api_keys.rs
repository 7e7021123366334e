//! gRPC methods for API keys and their users. The rules are in `crate::api_keys`.

use doorward_rpc::{RpcError, auth::v1 as pb, server::request_ids};
use tonic::{Request, Response};

use crate::{
    model::Action,
    service::{
        request::{RpcResult, actor_origin, parse_gid},
        state::Service,
    },
};

pub(super) async fn get_api_key(
    service: &Service,
    request: Request<pb::GetApiKeyRequest>,
) -> RpcResult<pb::GetApiKeyResponse> {
    let request_id = request_ids(&request);
    let request = request.into_inner();
    let user = parse_gid(&request.user_gid, "user_gid")?;
    let project = parse_gid(&request.project_gid, "project_gid")?;
    let origin = actor_origin(request.actor, request_id)?;
    let api_key = service
        .api_keys
        .get_or_create(user, project, origin)
        .await
        .map_err(RpcError::from)?;
    Ok(Response::new(pb::GetApiKeyResponse { api_key }))
}

pub(super) async fn rotate_api_key(
    service: &Service,
    request: Request<pb::RotateApiKeyRequest>,
) -> RpcResult<pb::RotateApiKeyResponse> {
    let request_id = request_ids(&request);
    let request = request.into_inner();
    let user = parse_gid(&request.user_gid, "user_gid")?;
    let project = parse_gid(&request.project_gid, "project_gid")?;
    let origin = actor_origin(request.actor, request_id)?;
    let api_key = service
        .api_keys
        .rotate(user, project, origin)
        .await
        .map_err(RpcError::from)?;
    service.trust.refresh().await.map_err(RpcError::from)?;
    Ok(Response::new(pb::RotateApiKeyResponse { api_key }))
}

pub(super) async fn report_api_user_change(
    service: &Service,
    request: Request<pb::ReportApiUserChangeRequest>,
) -> RpcResult<pb::ReportApiUserChangeResponse> {
    let request_id = request_ids(&request);
    let request = request.into_inner();
    let user = parse_gid(&request.user_gid, "user_gid")?;
    let project = parse_gid(&request.project_gid, "project_gid")?;
    let action = match request.change() {
        pb::ApiUserChange::Activated => Action::ApiKeyActivated,
        pb::ApiUserChange::Deactivated => Action::ApiKeyDeactivated,
        pb::ApiUserChange::Deleted => Action::ApiKeyDeleted,
        pb::ApiUserChange::Unspecified => {
            return Err(RpcError::invalid_parameter("change").into());
        }
    };
    let origin = actor_origin(request.actor, request_id)?;
    service
        .api_keys
        .record_change(user, project, action, origin)
        .await
        .map_err(RpcError::from)?;
    service.trust.refresh().await.map_err(RpcError::from)?;
    Ok(Response::new(pb::ReportApiUserChangeResponse {}))
}
