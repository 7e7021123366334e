//! `POST /api/projects/upload_icon`, `.../delete_icon`: the icon of a project.

use actix_web::{
    HttpRequest, HttpResponse,
    web::{Data, Payload},
};
use doorward_media::Format;
use doorward_rpc::directory::v1::{PrepareIconRequest, SetIconRequest};

use crate::{
    handlers::{current_user::require_account, projects},
    http::{
        body::Body,
        envelope::ApiError,
        upload::{self, UploadForm},
    },
    media::{Media, icon_file, object_store_error},
    peers::Peers,
    session::caller::Caller,
};

/// Replaces the icon of a project, in the same order as an avatar: the new file is registered for
/// deletion, stored, and then set.
pub(crate) async fn upload(
    caller: Caller,
    request: HttpRequest,
    payload: Payload,
    peers: Data<Peers>,
    media: Data<Media>,
) -> Result<HttpResponse, ApiError> {
    // API users own no project; they are rejected before the body is received.
    require_account(&caller)?;
    let form: UploadForm = upload::read_form(&request, payload, &media.upload_memory).await?;
    let caller_gid = caller.claims.sub.to_string();
    let project_gid = form.project()?.to_string();
    let file = form.into_file()?;
    let prepare = async |format: Format| -> Result<String, ApiError> {
        let extension = format.extension().to_owned();
        let prepare = PrepareIconRequest {
            caller_gid: caller_gid.clone(),
            project_gid: project_gid.clone(),
            extension,
        };
        Ok(peers
            .directory()
            .prepare_icon(prepare)
            .await?
            .into_inner()
            .file_name)
    };
    // This call also rejects callers who are not the owner, before the image is decoded. Its format
    // is not known yet, so it is a guess. A name that is not used is deleted later, like those of
    // uploads that were interrupted.
    let guess = Format::Png;
    let mut name = prepare(guess).await?;
    let (file, _memory) = file.into_parts();
    let picture = media.decoder.decode(caller.claims.sub, file).await?;
    if picture.format != guess {
        name = prepare(picture.format).await?;
    }
    let put = media
        .object_store
        .put(&icon_file(&name), picture.bytes)
        .await;
    put.map_err(|error| object_store_error(&error))?;
    set(
        &peers,
        &media,
        SetIconRequest {
            caller_gid,
            project_gid,
            file_name: Some(name),
        },
    )
    .await
}

pub(crate) async fn delete(
    caller: Caller,
    body: Body,
    peers: Data<Peers>,
    media: Data<Media>,
) -> Result<HttpResponse, ApiError> {
    let caller_gid = caller.claims.sub.to_string();
    let project_gid = body.required_gid("project")?.to_string();
    set(
        &peers,
        &media,
        SetIconRequest {
            caller_gid,
            project_gid,
            file_name: None,
        },
    )
    .await
}

async fn set(peers: &Peers, media: &Media, set: SetIconRequest) -> Result<HttpResponse, ApiError> {
    let changed = peers.directory().set_icon(set).await?.into_inner();
    media.discarded.notify_one();
    projects::project_response(&changed)
}
