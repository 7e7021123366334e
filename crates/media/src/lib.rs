//! Uploaded images: decoded and encoded again in processes with limits ([`DecoderPool`]), and
//! stored in a directory or an S3-compatible bucket ([`Store`]). It knows no HTTP.

mod decode;
mod decoder_pool;
mod decoder_process;
mod encode;
mod file_structure;
mod format;
mod location;
mod picture;
#[cfg(feature = "s3")]
mod s3;
#[cfg(not(feature = "s3"))]
#[path = "without_s3.rs"]
mod s3;
mod store;

pub use crate::decoder_pool::DecoderPool;
pub use crate::decoder_process::{DECODER_COMMAND, MAX_FILE_BYTES, run_decoder};
pub use format::Format;
pub use location::Location;
pub use picture::Picture;
pub use store::{Object, Store, StoreError};

/// Why an upload was rejected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PictureError {
    #[error("not a complete PNG, JPEG, GIF or WebP, or decoding it needs too much memory or time")]
    NotAPicture,
    #[error("too many pixels")]
    TooManyPixels,
    #[error("too many images at once")]
    Busy,
}
