//! From a file that a stranger sent to an image of ours: nothing but its pixels is kept.

use crate::{Format, PictureError, decode, encode};

/// An image that was encoded again and can be served.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Picture {
    pub format: Format,
    pub bytes: Vec<u8>,
}

impl Picture {
    /// Decodes a file and encodes it as it is served. Decoders take as much memory and time as a stranger wants, so this
    /// is for a process with limits: see [`crate::run_decoder`].
    ///
    /// # Errors
    /// [`PictureError::NotAPicture`] and [`PictureError::TooManyPixels`].
    pub fn decode(file: Vec<u8>) -> Result<Self, PictureError> {
        let format = Format::detect(&file).ok_or(PictureError::NotAPicture)?;
        encode::encode(decode::decode(format, file)?, format)
    }
}

#[cfg(test)]
#[path = "picture_tests.rs"]
mod tests;
