//! The picture that is made of an uploaded file.

use crate::format::Format;

/// An encoded image that can be served.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Picture {
    pub format: Format,
    pub bytes: Vec<u8>,
}
