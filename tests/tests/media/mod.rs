//! TODO media

pub(crate) mod avatars;
pub(crate) mod images;
