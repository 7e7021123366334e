//! RPCs about avatars and icons. They parse, call the directory and convert; the rules are in
//! `media.rs` of the crate.

use doorward_rpc::{RpcError, directory::v1 as pb};
use tonic::{Request, Response};

use crate::{
    media,
    service::{
        convert,
        request::{RpcResult, parse_caller, parse_gid},
        state::Service,
    },
};

pub(super) async fn prepare_avatar(
    service: &Service,
    request: Request<pb::PrepareAvatarRequest>,
) -> RpcResult<pb::PrepareAvatarResponse> {
    let request = request.into_inner();
    let user = parse_gid(&request.user_gid, "user_gid")?;
    check_extension(&request.extension)?;
    let name = service
        .directory
        .prepare_avatar(user.into(), &request.extension)
        .await
        .map_err(RpcError::from)?;
    Ok(Response::new(pb::PrepareAvatarResponse { file_name: name }))
}

pub(super) async fn set_avatar(
    service: &Service,
    request: Request<pb::SetAvatarRequest>,
) -> RpcResult<pb::SetAvatarResponse> {
    let request = request.into_inner();
    let user = parse_gid(&request.user_gid, "user_gid")?;
    let user = service
        .directory
        .set_avatar(user.into(), request.file_name)
        .await
        .map_err(RpcError::from)?;
    Ok(Response::new(pb::SetAvatarResponse {
        user: Some(convert::user(user)),
    }))
}

pub(super) async fn prepare_icon(
    service: &Service,
    request: Request<pb::PrepareIconRequest>,
) -> RpcResult<pb::PrepareIconResponse> {
    let request = request.into_inner();
    let caller = parse_caller(&request.caller_gid)?;
    let project = parse_gid(&request.project_gid, "project_gid")?;
    check_extension(&request.extension)?;
    let name = service
        .directory
        .prepare_icon(caller, project, &request.extension)
        .await
        .map_err(RpcError::from)?;
    Ok(Response::new(pb::PrepareIconResponse { file_name: name }))
}

pub(super) async fn set_icon(
    service: &Service,
    request: Request<pb::SetIconRequest>,
) -> RpcResult<pb::ProjectResponse> {
    let request = request.into_inner();
    let caller = parse_caller(&request.caller_gid)?;
    let project = parse_gid(&request.project_gid, "project_gid")?;
    let project = service
        .directory
        .set_icon(caller, project, request.file_name)
        .await
        .map_err(RpcError::from)?;
    Ok(Response::new(pb::ProjectResponse {
        project: Some(convert::full_project(project)),
        memberships: Vec::new(),
    }))
}

pub(super) async fn find_icon(
    service: &Service,
    request: Request<pb::FindIconRequest>,
) -> RpcResult<pb::FindIconResponse> {
    let request = request.into_inner();
    let name = service
        .directory
        .find_icon(request.icon)
        .await
        .map_err(RpcError::from)?;
    Ok(Response::new(pb::FindIconResponse { file_name: name }))
}

pub(super) async fn list_discarded_media(
    service: &Service,
    _: Request<pb::ListDiscardedMediaRequest>,
) -> RpcResult<pb::ListDiscardedMediaResponse> {
    let names = service
        .directory
        .list_discarded_media()
        .await
        .map_err(RpcError::from)?;
    Ok(Response::new(pb::ListDiscardedMediaResponse {
        file_names: names,
    }))
}

pub(super) async fn confirm_media_deletion(
    service: &Service,
    request: Request<pb::ConfirmMediaDeletionRequest>,
) -> RpcResult<pb::ConfirmMediaDeletionResponse> {
    let request = request.into_inner();
    if request.file_names.len() > media::MAX_CONFIRMED {
        return Err(RpcError::invalid_parameter("file_names").into());
    }
    service
        .directory
        .confirm_media_deletion(request.file_names)
        .await
        .map_err(RpcError::from)?;
    Ok(Response::new(pb::ConfirmMediaDeletionResponse {}))
}

/// Checks the file extension of a new picture.
fn check_extension(extension: &str) -> Result<(), RpcError> {
    if media::is_extension(extension) {
        Ok(())
    } else {
        Err(RpcError::invalid_parameter("extension"))
    }
}
