//! Pictures that people upload: checked and written anew ([`Pictures`]), and kept in a directory or in an S3-compatible
//! store ([`Store`]). It knows no HTTP and no users.

mod format;
mod location;
mod picture;
mod pictures;
mod store;
mod whole;

pub use format::Format;
pub use location::Location;
pub use picture::Picture;
pub use pictures::Pictures;
pub use store::{Object, Store, StoreError};

/// Why there is no picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PictureError {
    #[error("not a PNG, JPEG, GIF or WebP, or not a whole one")]
    NotAPicture,
    #[error("too many pixels")]
    TooManyPixels,
    /// Too many others are waiting.
    #[error("too many pictures at once")]
    Busy,
}
