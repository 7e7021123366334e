//! RPCs about API users. They parse, call the directory and convert; the rules are in
//! `users/api_users.rs`.

use doorward_rpc::{RpcError, directory::v1 as pb};
use tonic::{Request, Response};

use crate::{
    Actor,
    service::{
        convert,
        request::{RpcResult, parse_caller, parse_gid},
        state::Service,
    },
};

pub(super) async fn create_api_user(
    service: &Service,
    request: Request<pb::CreateApiUserRequest>,
) -> RpcResult<pb::ApiUserResponse> {
    let request = request.into_inner();
    let project = parse_gid(&request.project_gid, "project_gid")?;
    let caller = parse_caller(&request.caller_gid)?;
    let created = service
        .directory
        .create_api_user(Actor::User(caller), project, request.name)
        .await
        .map_err(RpcError::from)?;
    Ok(Response::new(convert::api_user(created)))
}

pub(super) async fn get_api_user(
    service: &Service,
    request: Request<pb::GetApiUserRequest>,
) -> RpcResult<pb::ApiUserResponse> {
    let request = request.into_inner();
    let project = parse_gid(&request.project_gid, "project_gid")?;
    let caller = parse_caller(&request.caller_gid)?;
    let user = parse_gid(&request.user_gid, "user_gid")?;
    let found = service
        .directory
        .get_api_user(Actor::User(caller), project, user)
        .await
        .map_err(RpcError::from)?;
    Ok(Response::new(convert::api_user(found)))
}

pub(super) async fn update_api_user(
    service: &Service,
    request: Request<pb::UpdateApiUserRequest>,
) -> RpcResult<pb::ApiUserResponse> {
    let request = request.into_inner();
    let project = parse_gid(&request.project_gid, "project_gid")?;
    let caller = parse_caller(&request.caller_gid)?;
    let user = parse_gid(&request.user_gid, "user_gid")?;
    let changed = service
        .directory
        .rename_api_user(Actor::User(caller), project, user, request.name)
        .await;
    Ok(Response::new(convert::api_user(
        changed.map_err(RpcError::from)?,
    )))
}

pub(super) async fn set_api_user_status(
    service: &Service,
    request: Request<pb::SetApiUserStatusRequest>,
) -> RpcResult<pb::ApiUserResponse> {
    let request = request.into_inner();
    let project = parse_gid(&request.project_gid, "project_gid")?;
    let caller = parse_caller(&request.caller_gid)?;
    let user = parse_gid(&request.user_gid, "user_gid")?;
    let changed = service
        .directory
        .set_api_user_status(Actor::User(caller), project, user, request.is_active)
        .await;
    Ok(Response::new(convert::api_user(
        changed.map_err(RpcError::from)?,
    )))
}

pub(super) async fn delete_api_user(
    service: &Service,
    request: Request<pb::DeleteApiUserRequest>,
) -> RpcResult<pb::DeleteApiUserResponse> {
    let request = request.into_inner();
    let project = parse_gid(&request.project_gid, "project_gid")?;
    let caller = parse_caller(&request.caller_gid)?;
    let user = parse_gid(&request.user_gid, "user_gid")?;
    service
        .directory
        .delete_api_user(Actor::User(caller), project, user)
        .await
        .map_err(RpcError::from)?;
    Ok(Response::new(pb::DeleteApiUserResponse {}))
}
