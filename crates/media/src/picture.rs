//! The picture that is made of an uploaded file. How it is made is in `transcode.rs`.

use crate::format::Format;

/// An encoded image that can be served.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Picture {
    pub format: Format,
    pub bytes: Vec<u8>,
}
