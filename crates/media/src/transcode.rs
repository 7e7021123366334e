//! Makes the picture (`picture.rs`) of an uploaded file. Nothing but the pixels of the file is
//! used.

use crate::{decode, encode, error::PictureError, format::Format, picture::Picture};

impl Picture {
    /// Decodes a file and encodes the picture to serve. The file decides how much memory and time
    /// this takes, so it must run in a process with limits: see [`crate::run_decoder`].
    ///
    /// # Errors
    /// [`PictureError::NotAPicture`] and [`PictureError::TooManyPixels`].
    pub fn decode(file: Vec<u8>) -> Result<Self, PictureError> {
        let format = Format::detect(&file).ok_or(PictureError::NotAPicture)?;
        encode::encode(decode::decode(format, file)?, format)
    }
}

#[cfg(test)]
#[path = "transcode_tests.rs"]
mod tests;
