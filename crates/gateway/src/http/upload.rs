//! Uploaded files in forms (multipart/form-data, RFC 7578), with bounds on size, time and memory.
//! It does not look at the content of files; `doorward_media` decodes them.

use std::{fs::File, io::Write, sync::Arc, time::Duration};

use actix_multipart::{Field, Multipart};
use actix_web::{
    HttpMessage, HttpRequest, error::PayloadError, http::header::CONTENT_LENGTH, web::Payload,
};
use doorward_domain::Gid;
use doorward_media::MAX_FILE_BYTES;
use doorward_rpc::RpcError;
use futures_util::StreamExt;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::http::{body, envelope::ApiError};

/// Maximum size of a body: the file and everything else.
const MAX_BYTES: usize = MAX_FILE_BYTES + 64 * 1024;
/// Maximum time in which the whole body must arrive.
const MAX_TIME: Duration = Duration::from_secs(60);
/// Maximum number of parts of a form, including those that are ignored.
const MAX_PARTS: usize = 8;
/// Maximum size of all files that are received or decoded at the same time.
const MAX_MEMORY_BYTES: usize = 64 * 1024 * 1024;

/// Memory of the process for files that are received or decoded: a semaphore with one permit per
/// byte.
pub(crate) struct UploadMemory(Arc<Semaphore>);

impl Default for UploadMemory {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(MAX_MEMORY_BYTES)))
    }
}

/// Uploaded file and its share of the memory. The bytes are in a file without a name, from which
/// the decoder reads them: its memory returns to the system at once, while that of a buffer would
/// stay with the allocator.
pub(crate) struct Upload {
    file: File,
    length: usize,
    share: Option<OwnedSemaphorePermit>,
}

impl Upload {
    fn new() -> Result<Self, ApiError> {
        let file = unnamed_file().map_err(|error| memory_error(&error))?;
        Ok(Self {
            file,
            length: 0,
            share: None,
        })
    }

    /// Appends a chunk. Memory is reserved for the bytes that have arrived, not for the declared
    /// length, so that a client cannot reserve memory without sending data.
    fn add(&mut self, chunk: &[u8], memory: &UploadMemory) -> Result<(), ApiError> {
        self.length += chunk.len();
        if self.length > MAX_FILE_BYTES {
            return Err(ApiError::PayloadTooLarge);
        }
        let count = u32::try_from(chunk.len()).map_err(|_| ApiError::PayloadTooLarge)?;
        let share = memory
            .0
            .clone()
            .try_acquire_many_owned(count)
            .map_err(|_| RpcError::unavailable())?;
        match &mut self.share {
            Some(all) => all.merge(share),
            None => self.share = Some(share),
        }
        self.file
            .write_all(chunk)
            .map_err(|error| memory_error(&error))
    }

    #[cfg(feature = "fuzzing")]
    pub(crate) const fn len(&self) -> usize {
        self.length
    }

    /// Returns the file and its share of the memory, which must be held until the file is no longer
    /// used.
    pub(crate) fn into_parts(self) -> (File, Option<OwnedSemaphorePermit>) {
        (self.file, self.share)
    }
}

/// Creates a file in memory.
#[cfg(target_os = "linux")]
fn unnamed_file() -> std::io::Result<File> {
    use rustix::fs::{MemfdFlags, memfd_create};

    Ok(memfd_create("upload", MemfdFlags::CLOEXEC)?.into())
}

/// Creates a temporary file on systems that have no files in memory.
#[cfg(not(target_os = "linux"))]
fn unnamed_file() -> std::io::Result<File> {
    tempfile::tempfile()
}

fn memory_error(error: &std::io::Error) -> ApiError {
    tracing::warn!(%error, "no memory for an uploaded file; answering with 503");
    RpcError::unavailable().into()
}

/// Parts of a form that the calls use. Other parts are ignored.
#[derive(Default)]
pub(crate) struct UploadForm {
    file: Option<Upload>,
    project: Option<String>,
}

/// Name of the part with the file.
const FILE: &str = "upload_file";
/// Name of the part with the gid of the project.
const PROJECT: &str = "project";
/// Maximum length of a text part. A gid is shorter.
const MAX_TEXT_BYTES: usize = 100;

impl UploadForm {
    /// Returns the required project.
    pub(crate) fn project(&self) -> Result<Gid, ApiError> {
        let text = self
            .project
            .as_deref()
            .ok_or_else(|| ApiError::missing_parameter(PROJECT))?;
        text.parse()
            .map_err(|_| ApiError::invalid_parameter(PROJECT))
    }

    /// Returns the required file.
    pub(crate) fn into_file(self) -> Result<Upload, ApiError> {
        self.file.ok_or_else(|| ApiError::missing_parameter(FILE))
    }
}

/// Reads a form within the limits.
pub(crate) async fn read_form(
    request: &HttpRequest,
    payload: Payload,
    memory: &UploadMemory,
) -> Result<UploadForm, ApiError> {
    if !request
        .content_type()
        .trim()
        .eq_ignore_ascii_case("multipart/form-data")
    {
        return Err(ApiError::UnsupportedMediaType);
    }
    body::check_encoding(request.headers())?;
    let length = request
        .headers()
        .get(CONTENT_LENGTH)
        .and_then(|length| length.to_str().ok()?.parse().ok());
    if length.is_some_and(|length: u64| length > MAX_BYTES as u64) {
        return Err(ApiError::PayloadTooLarge);
    }
    // A chunked body declares no length, so the bytes are counted too.
    let mut left = MAX_BYTES;
    let bounded = payload.map(move |chunk| {
        let chunk = chunk?;
        left = left
            .checked_sub(chunk.len())
            .ok_or(PayloadError::Overflow)?;
        Ok(chunk)
    });
    let form = Multipart::new(request.headers(), bounded);
    tokio::time::timeout(MAX_TIME, read_parts(form, memory))
        .await
        .map_err(|_| ApiError::BodyTimeout)?
}

/// Reads all parts, also those after the file: a form that ends early is rejected as a whole. Of
/// several parts with the same name, the first is used.
async fn read_parts(mut parts: Multipart, memory: &UploadMemory) -> Result<UploadForm, ApiError> {
    let mut form = UploadForm::default();
    let mut count = 0;
    while let Some(part) = parts.next().await {
        let part = part.map_err(|error| multipart_error(&error))?;
        count += 1;
        if count > MAX_PARTS {
            return Err(ApiError::invalid_body("it has too many parts"));
        }
        match part.name() {
            Some(FILE) if form.file.is_none() => {
                form.file = Some(collect_file(part, memory).await?);
            }
            Some(PROJECT) if form.project.is_none() => {
                form.project = Some(collect_text(part).await?);
            }
            Some(_) | None => {}
        }
    }
    Ok(form)
}

async fn collect_text(mut part: Field) -> Result<String, ApiError> {
    let mut bytes = Vec::new();
    while let Some(chunk) = part.next().await {
        bytes.extend_from_slice(&chunk.map_err(|error| multipart_error(&error))?);
        if bytes.len() > MAX_TEXT_BYTES {
            return Err(ApiError::invalid_parameter(PROJECT));
        }
    }
    String::from_utf8(bytes).map_err(|_| ApiError::invalid_parameter(PROJECT))
}

async fn collect_file(mut part: Field, memory: &UploadMemory) -> Result<Upload, ApiError> {
    let mut upload = Upload::new()?;
    while let Some(chunk) = part.next().await {
        upload.add(&chunk.map_err(|error| multipart_error(&error))?, memory)?;
    }
    Ok(upload)
}

fn multipart_error(error: &actix_multipart::MultipartError) -> ApiError {
    use actix_multipart::MultipartError as Error;
    if matches!(error, Error::Payload(PayloadError::Overflow)) {
        ApiError::PayloadTooLarge
    } else if matches!(error, Error::Payload(_) | Error::Incomplete) {
        ApiError::invalid_body("it ended early")
    } else {
        ApiError::invalid_body("it is not multipart/form-data")
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Seek};

    use super::*;

    #[test]
    fn uploads_share_bounded_memory() {
        let memory = UploadMemory(Arc::new(Semaphore::new(10)));
        let mut one = Upload::new().unwrap();
        let mut other = Upload::new().unwrap();
        one.add(b"123", &memory).unwrap();
        one.add(b"456", &memory).unwrap();
        other.add(b"1234", &memory).unwrap();
        assert!(matches!(
            other.add(b"5", &memory),
            Err(ApiError::RpcError(_))
        ));
        drop(one);
        other.add(b"6", &memory).unwrap();
        let (mut file, share) = other.into_parts();
        assert_eq!(memory.0.available_permits(), 5);
        let mut bytes = Vec::new();
        file.rewind().unwrap();
        file.read_to_end(&mut bytes).unwrap();
        assert_eq!(bytes, b"12346");
        drop(share);
        assert_eq!(memory.0.available_permits(), 10);
    }

    #[test]
    fn file_has_at_most_ten_million_bytes() {
        let mut upload = Upload::new().unwrap();
        let memory = UploadMemory::default();
        upload.add(&vec![0; 9_999_999], &memory).unwrap();
        upload.add(b"1", &memory).unwrap();
        assert!(matches!(
            upload.add(b"2", &memory),
            Err(ApiError::PayloadTooLarge)
        ));
    }
}
