//! Errors of uploads.

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
