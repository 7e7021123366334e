//! Files that are sent as multipart/form-data (RFC 7578), bounded in size, time and memory.

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

/// Maximum size of a body: the file and what is around it.
const MAX_BYTES: usize = MAX_FILE_BYTES + 64 * 1024;
/// For the whole body.
const MAX_TIME: Duration = Duration::from_secs(60);
const MAX_PARTS: usize = 8;
/// Maximum size of all files that are received or decoded at one time.
const MAX_MEMORY_BYTES: usize = 64 * 1024 * 1024;

/// The memory of a process for files that are received or decoded, by the byte.
pub(crate) struct UploadMemory(Arc<Semaphore>);

impl Default for UploadMemory {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(MAX_MEMORY_BYTES)))
    }
}

/// A file and its share of the memory. The bytes are in a file without a name: the decoder reads it from there, and its
/// memory goes back to the system at once, while that of a buffer would stay with the allocator.
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

    /// Returns the file, and its share of the memory, to be held until the file is no longer used.
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

/// Creates a temporary file, where the system has none in memory.
#[cfg(not(target_os = "linux"))]
fn unnamed_file() -> std::io::Result<File> {
    tempfile::tempfile()
}

fn memory_error(error: &std::io::Error) -> ApiError {
    tracing::warn!(%error, "no memory for a file that is uploaded");
    RpcError::unavailable().into()
}

/// What the parts of a form hold that are asked for.
#[derive(Default)]
pub(crate) struct UploadForm {
    file: Option<Upload>,
    project: Option<String>,
}

/// The part that holds the file.
const FILE: &str = "upload_file";
/// The part that says which project it is for.
const PROJECT: &str = "project";
/// A gid has fewer.
const MAX_TEXT_BYTES: usize = 100;

impl UploadForm {
    pub(crate) fn project(&self) -> Result<Gid, ApiError> {
        let text = self
            .project
            .as_deref()
            .ok_or_else(|| ApiError::missing_parameter(PROJECT))?;
        text.parse()
            .map_err(|_| ApiError::invalid_parameter(PROJECT))
    }

    pub(crate) fn into_file(self) -> Result<Upload, ApiError> {
        self.file.ok_or_else(|| ApiError::missing_parameter(FILE))
    }
}

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

/// Reads to the end: a form that is cut off is none.
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
                form.file = Some(collect_file(part, memory).await?)
            }
            Some(PROJECT) if form.project.is_none() => {
                form.project = Some(collect_text(part).await?)
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
        let (mut one, mut other) = (Upload::new().unwrap(), Upload::new().unwrap());
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
        let (mut upload, memory) = (Upload::new().unwrap(), UploadMemory::default());
        upload.add(&vec![0; 9_999_999], &memory).unwrap();
        upload.add(b"1", &memory).unwrap();
        assert!(matches!(
            upload.add(b"2", &memory),
            Err(ApiError::PayloadTooLarge)
        ));
    }
}
