//! Tests of pictures: uploads, decoding, object stores and serving.

pub(crate) mod avatars;
pub(crate) mod images;
