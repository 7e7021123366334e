//! From bytes that a stranger sent to a picture of ours: only its pixels come through.

use std::{
    io::Cursor,
    panic::{AssertUnwindSafe, catch_unwind},
};

use image::{
    DynamicImage, ImageDecoder, ImageError, ImageReader, ImageResult, Limits,
    codecs::{gif::GifEncoder, jpeg::JpegEncoder, png::PngEncoder, webp::WebPEncoder},
    error::{ParameterError, ParameterErrorKind},
    metadata::Orientation,
};

use crate::{Format, PictureError, whole};

/// Of width and of height.
const MAX_SIDE: u32 = 4096;
/// The largest picture with 16 bits a channel takes 128 MiB.
const MAX_DECODED_BYTES: u64 = 160 * 1024 * 1024;
/// Of 100; nobody sees the difference to the original.
const JPEG_QUALITY: u8 = 90;
/// From 1, best, to 30, fastest: what 256 colors are found with, where a GIF has more.
const GIF_SPEED: i32 = 10;

/// A picture that was written anew.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Picture {
    pub format: Format,
    pub bytes: Vec<u8>,
}

impl Picture {
    /// Takes seconds for a large one: for a thread that may block.
    pub(crate) fn read(bytes: &[u8]) -> Result<Self, PictureError> {
        // The last resort: decoders are complex, not ours, and see whatever strangers think of. One that panics has met
        // no picture; that isn't to become a 500.
        catch_unwind(AssertUnwindSafe(|| rewrite(bytes))).unwrap_or_else(|_| {
            tracing::error!(length = bytes.len(), "a decoder of pictures panicked");
            Err(PictureError::NotAPicture)
        })
    }
}

fn rewrite(bytes: &[u8]) -> Result<Picture, PictureError> {
    let format = Format::of(bytes).ok_or(PictureError::NotAPicture)?;
    let whole = whole::picture(format, bytes).ok_or(PictureError::NotAPicture)?;
    let image = decode(format, whole).map_err(|error| match error {
        ImageError::Limits(_) => PictureError::TooManyPixels,
        ImageError::Decoding(_)
        | ImageError::Encoding(_)
        | ImageError::Parameter(_)
        | ImageError::Unsupported(_)
        | ImageError::IoError(_) => PictureError::NotAPicture,
    })?;
    let bytes = encode(format, &image).map_err(|error| {
        tracing::error!(%error, extension = format.extension(), "a picture can't be written");
        PictureError::NotAPicture
    })?;
    Ok(Picture { format, bytes })
}

/// The first frame, as it is to be seen.
fn decode(format: Format, bytes: &[u8]) -> ImageResult<DynamicImage> {
    let mut limits = Limits::default();
    limits.max_alloc = Some(MAX_DECODED_BYTES);
    let mut reader = ImageReader::with_format(Cursor::new(bytes), format.decoder());
    reader.limits(limits.clone());
    let mut decoder = reader.into_decoder()?;
    // So far only the head was read.
    if decoder.total_bytes() == 0 {
        return Err(ImageError::Parameter(ParameterError::from_kind(ParameterErrorKind::DimensionMismatch)));
    }
    limits.max_image_width = Some(MAX_SIDE);
    limits.max_image_height = Some(MAX_SIDE);
    limits.reserve(decoder.total_bytes())?;
    decoder.set_limits(limits)?;
    let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
    let mut image = in_eight_bits(DynamicImage::from_decoder(decoder)?);
    image.apply_orientation(orientation);
    Ok(image)
}

/// More is for editing; the largest picture would take twice the memory.
fn in_eight_bits(image: DynamicImage) -> DynamicImage {
    let color = image.color();
    match (color.has_color(), color.has_alpha()) {
        (true, true) => image.into_rgba8().into(),
        (true, false) => image.into_rgb8().into(),
        (false, true) => image.into_luma_alpha8().into(),
        (false, false) => image.into_luma8().into(),
    }
}

fn encode(format: Format, image: &DynamicImage) -> ImageResult<Vec<u8>> {
    let mut bytes = Vec::new();
    match format {
        Format::Png => image.write_with_encoder(PngEncoder::new(&mut bytes)),
        Format::Jpeg => image.write_with_encoder(JpegEncoder::new_with_quality(&mut bytes, JPEG_QUALITY)),
        Format::Gif => image.write_with_encoder(GifEncoder::new_with_speed(&mut bytes, GIF_SPEED)),
        Format::Webp => image.write_with_encoder(WebPEncoder::new_lossless(&mut bytes)),
    }?;
    Ok(bytes)
}

#[cfg(test)]
#[path = "picture_tests.rs"]
mod tests;
