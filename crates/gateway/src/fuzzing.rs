//! Entry points for `fuzz/`, which sees nothing else of the gateway. Not part of any release.

use actix_web::{
    FromRequest, ResponseError,
    http::header::{CONTENT_TYPE, HeaderValue},
    test::TestRequest,
    web::Payload,
};

use crate::http::upload;

/// Reads a form with a file, as an upload is read: the length of the file, if there is one.
///
/// # Errors
/// The status of the answer.
pub async fn read_form(content_type: &[u8], body: &[u8]) -> Result<Option<usize>, u16> {
    let content_type = HeaderValue::from_bytes(content_type).map_err(|_| 400_u16)?;
    let request = TestRequest::post()
        .insert_header((CONTENT_TYPE, content_type))
        .set_payload(body.to_vec());
    let (request, mut payload) = request.to_http_parts();
    let payload = Payload::from_request(&request, &mut payload)
        .await
        .map_err(|_| 400_u16)?;
    let form = upload::read(&request, payload, &upload::UploadMemory::default()).await;
    let form = form.map_err(|problem| problem.status_code().as_u16())?;
    Ok(form.into_file().ok().map(|file| file.len()))
}
