//! Entry points for the fuzz targets in `fuzz/`, which cannot use anything else of the gateway.
//! They are not part of a release.

use actix_web::{
    FromRequest, ResponseError,
    http::header::{CONTENT_TYPE, HeaderValue},
    test::TestRequest,
    web::Payload,
};

use crate::http::upload;

/// Reads a form in the same way as an upload. Returns the length of the file, if the form has one.
///
/// # Errors
/// The HTTP status of the response.
pub async fn read_form(content_type: &[u8], body: &[u8]) -> Result<Option<usize>, u16> {
    let content_type = HeaderValue::from_bytes(content_type).map_err(|_| 400_u16)?;
    let request = TestRequest::post()
        .insert_header((CONTENT_TYPE, content_type))
        .set_payload(body.to_vec());
    let (request, mut payload) = request.to_http_parts();
    let payload = Payload::from_request(&request, &mut payload)
        .await
        .map_err(|_| 400_u16)?;
    let form = upload::read_form(&request, payload, &upload::UploadMemory::default()).await;
    let form = form.map_err(|error| error.status_code().as_u16())?;
    Ok(form.into_file().ok().map(|file| file.len()))
}
