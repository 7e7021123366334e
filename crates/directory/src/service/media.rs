//! The calls about pictures.

use doorward_proto::{Failure, directory::v1 as pb};
use tonic::Response;

use super::Answer;
use crate::{
    Directory, convert,
    convert::{caller, gid},
    media,
};

pub(super) async fn prepare_avatar(
    directory: &Directory,
    request: pb::PrepareAvatarRequest,
) -> Answer<pb::PrepareAvatarResponse> {
    let user = gid(&request.user_gid, "user_gid")?;
    check_extension(&request.extension)?;
    let name = directory.prepare_avatar(user.into(), &request.extension).await.map_err(Failure::from)?;
    Ok(Response::new(pb::PrepareAvatarResponse { name }))
}

pub(super) async fn set_avatar(directory: &Directory, request: pb::SetAvatarRequest) -> Answer<pb::SetAvatarResponse> {
    let user = gid(&request.user_gid, "user_gid")?;
    let user = directory.set_avatar(user.into(), request.name).await.map_err(Failure::from)?;
    Ok(Response::new(pb::SetAvatarResponse { user: Some(convert::user(user)) }))
}

pub(super) async fn prepare_icon(
    directory: &Directory,
    request: pb::PrepareIconRequest,
) -> Answer<pb::PrepareIconResponse> {
    let (caller, project) = (caller(&request.caller_gid)?, gid(&request.project_gid, "project_gid")?);
    check_extension(&request.extension)?;
    let name = directory.prepare_icon(caller, project, &request.extension).await.map_err(Failure::from)?;
    Ok(Response::new(pb::PrepareIconResponse { name }))
}

pub(super) async fn set_icon(directory: &Directory, request: pb::SetIconRequest) -> Answer<pb::ProjectResponse> {
    let (caller, project) = (caller(&request.caller_gid)?, gid(&request.project_gid, "project_gid")?);
    let full = directory.set_icon(caller, project, request.name).await.map_err(Failure::from)?;
    Ok(Response::new(pb::ProjectResponse { project: Some(convert::full_project(full)), memberships: Vec::new() }))
}

pub(super) async fn find_icon(directory: &Directory, request: pb::FindIconRequest) -> Answer<pb::FindIconResponse> {
    let name = directory.find_icon(request.icon).await.map_err(Failure::from)?;
    Ok(Response::new(pb::FindIconResponse { name }))
}

pub(super) async fn list_discarded_media(
    directory: &Directory,
    _: pb::ListDiscardedMediaRequest,
) -> Answer<pb::ListDiscardedMediaResponse> {
    let names = directory.list_discarded_media().await.map_err(Failure::from)?;
    Ok(Response::new(pb::ListDiscardedMediaResponse { names }))
}

pub(super) async fn forget_discarded_media(
    directory: &Directory,
    request: pb::ForgetDiscardedMediaRequest,
) -> Answer<pb::ForgetDiscardedMediaResponse> {
    if request.names.len() > media::MAX_FORGOTTEN {
        return Err(Failure::invalid("names").into());
    }
    directory.forget_discarded_media(request.names).await.map_err(Failure::from)?;
    Ok(Response::new(pb::ForgetDiscardedMediaResponse {}))
}

fn check_extension(extension: &str) -> Result<(), Failure> {
    if media::is_extension(extension) { Ok(()) } else { Err(Failure::invalid("extension")) }
}
