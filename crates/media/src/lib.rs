//! Uploaded images: decoded and encoded again in processes with limits ([`DecoderPool`]), and
//! stored in a directory or an S3-compatible bucket ([`Store`]). It knows no HTTP.

mod decode;
mod decoder_pool;
mod decoder_process;
mod encode;
mod error;
mod file_structure;
mod format;
mod location;
mod percent_encoding;
mod picture;
#[cfg(feature = "s3")]
mod s3;
#[cfg(not(feature = "s3"))]
#[path = "without_s3.rs"]
mod s3;
mod store;
mod transcode;

pub use crate::decoder_pool::DecoderPool;
pub use crate::decoder_process::{DECODER_COMMAND, MAX_FILE_BYTES, run_decoder};
pub use error::PictureError;
pub use format::Format;
pub use location::Location;
pub use picture::Picture;
pub use store::{Object, Store, StoreError};
