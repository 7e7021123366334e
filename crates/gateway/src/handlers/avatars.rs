//! `POST /api/account/upload_avatar`, `.../delete_avatar`: the picture of a user.

use actix_web::{
    HttpRequest, HttpResponse,
    web::{Data, Payload},
};
use doorward_domain::ErrorCode;
use doorward_media::PictureError;
use doorward_rpc::{
    RpcError,
    directory::v1::{PrepareAvatarRequest, SetAvatarRequest},
};

use crate::{
    handlers::current_user,
    http::{body::Body, envelope::ApiError, upload},
    media::{Media, avatar_file, object_store_error},
    peers::Peers,
    session::caller::Caller,
};

/// Replaces the avatar of the caller.
///
/// The order makes a crash at any point harmless. The directory first registers the new file for
/// deletion, then the file is stored, and then the directory sets it as the avatar and cancels the
/// deletion. No user sees a name without a file, and a file that is never set is deleted later.
pub(crate) async fn upload(
    caller: Caller,
    request: HttpRequest,
    payload: Payload,
    peers: Data<Peers>,
    media: Data<Media>,
) -> Result<HttpResponse, ApiError> {
    // The directory checks this too, but only after the large body has been received.
    current_user::require_account(&caller)?;
    let upload = upload::read_form(&request, payload, &media.upload_memory)
        .await?
        .into_file()?;
    let (file, _memory) = upload.into_parts();
    let picture = media.decoder.decode(caller.claims.sub, file).await?;
    let prepare = PrepareAvatarRequest {
        user_gid: caller.claims.sub.to_string(),
        extension: picture.format.extension().to_owned(),
    };
    let name = peers
        .directory()
        .prepare_avatar(prepare)
        .await?
        .into_inner()
        .file_name;
    let put = media
        .object_store
        .put(&avatar_file(&name), picture.bytes)
        .await;
    put.map_err(|error| object_store_error(&error))?;
    set(&caller, &peers, &media, Some(name)).await
}

pub(crate) async fn delete(
    caller: Caller,
    _: Body,
    peers: Data<Peers>,
    media: Data<Media>,
) -> Result<HttpResponse, ApiError> {
    current_user::require_account(&caller)?;
    set(&caller, &peers, &media, None).await
}

async fn set(
    caller: &Caller,
    peers: &Peers,
    media: &Media,
    name: Option<String>,
) -> Result<HttpResponse, ApiError> {
    let set = SetAvatarRequest {
        user_gid: caller.claims.sub.to_string(),
        file_name: name,
    };
    let user = peers
        .directory()
        .set_avatar(set)
        .await?
        .into_inner()
        .user
        .ok_or_else(ApiError::internal)?;
    media.discarded.notify_one();
    current_user::user_response(&user, None)
}

impl From<PictureError> for ApiError {
    fn from(error: PictureError) -> Self {
        let unprocessable = |reason| {
            RpcError::new(ErrorCode::Unprocessable)
                .with_info("reason", reason)
                .into()
        };
        match error {
            PictureError::NotAPicture => unprocessable("not_an_image"),
            PictureError::TooManyPixels => unprocessable("image_too_large"),
            PictureError::Busy => RpcError::unavailable().into(),
        }
    }
}
