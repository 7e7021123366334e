//! RPCs about API users. They parse, call the directory and convert; the rules are in
//! `users/api_users.rs`.

use doorward_rpc::{RpcError, directory::v1 as pb};
use tonic::Response;

use crate::{
    Actor, Directory,
    service::{
        convert,
        request::{RpcResult, parse_caller, parse_gid},
    },
};

pub(super) async fn create_api_user(
    directory: &Directory,
    request: pb::CreateApiUserRequest,
) -> RpcResult<pb::ApiUserResponse> {
    let project = parse_gid(&request.project_gid, "project_gid")?;
    let caller = parse_caller(&request.caller_gid)?;
    let created = directory
        .create_api_user(Actor::User(caller), project, request.name)
        .await
        .map_err(RpcError::from)?;
    Ok(Response::new(convert::api_user(created)))
}

pub(super) async fn get_api_user(
    directory: &Directory,
    request: pb::GetApiUserRequest,
) -> RpcResult<pb::ApiUserResponse> {
    let project = parse_gid(&request.project_gid, "project_gid")?;
    let caller = parse_caller(&request.caller_gid)?;
    let user = parse_gid(&request.user_gid, "user_gid")?;
    let found = directory
        .get_api_user(Actor::User(caller), project, user)
        .await
        .map_err(RpcError::from)?;
    Ok(Response::new(convert::api_user(found)))
}

pub(super) async fn update_api_user(
    directory: &Directory,
    request: pb::UpdateApiUserRequest,
) -> RpcResult<pb::ApiUserResponse> {
    let project = parse_gid(&request.project_gid, "project_gid")?;
    let caller = parse_caller(&request.caller_gid)?;
    let user = parse_gid(&request.user_gid, "user_gid")?;
    let changed = directory
        .rename_api_user(Actor::User(caller), project, user, request.name)
        .await;
    Ok(Response::new(convert::api_user(
        changed.map_err(RpcError::from)?,
    )))
}

pub(super) async fn set_api_user_status(
    directory: &Directory,
    request: pb::SetApiUserStatusRequest,
) -> RpcResult<pb::ApiUserResponse> {
    let project = parse_gid(&request.project_gid, "project_gid")?;
    let caller = parse_caller(&request.caller_gid)?;
    let user = parse_gid(&request.user_gid, "user_gid")?;
    let changed = directory
        .set_api_user_status(Actor::User(caller), project, user, request.is_active)
        .await;
    Ok(Response::new(convert::api_user(
        changed.map_err(RpcError::from)?,
    )))
}

pub(super) async fn delete_api_user(
    directory: &Directory,
    request: pb::DeleteApiUserRequest,
) -> RpcResult<pb::DeleteApiUserResponse> {
    let project = parse_gid(&request.project_gid, "project_gid")?;
    let caller = parse_caller(&request.caller_gid)?;
    let user = parse_gid(&request.user_gid, "user_gid")?;
    directory
        .delete_api_user(Actor::User(caller), project, user)
        .await
        .map_err(RpcError::from)?;
    Ok(Response::new(pb::DeleteApiUserResponse {}))
}
