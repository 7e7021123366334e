//! From a file to its pixels: upright, in 8 bits a channel, and no larger than they are served.

use std::io::Cursor;

use image::{
    DynamicImage, ImageDecoder, ImageError, ImageReader, ImageResult, Limits, metadata::Orientation,
};

use crate::{Format, PictureError, decoder_process::MAX_DATA_BYTES, file_structure};

/// Maximum width times height of a file.
pub(crate) const MAX_PIXELS: u64 = 50_000_000;
/// Maximum width and height of what is served; larger images are scaled down.
pub(crate) const MAX_SIDE: u32 = 1024;

/// Returns the first frame. The largest files need several hundred megabytes and seconds.
pub(crate) fn decode(format: Format, mut file: Vec<u8>) -> Result<DynamicImage, PictureError> {
    let (width, height) =
        file_structure::find_dimensions(format, &file).ok_or(PictureError::NotAPicture)?;
    check_pixels(width, height)?;
    let length = file_structure::find_length(format, &file).ok_or(PictureError::NotAPicture)?;
    file.truncate(length);
    let exif = file_structure::find_exif(format, &file).and_then(Orientation::from_exif_chunk);
    let mut decoder = new_decoder(format, file)?;
    // The decoder may know better than the header.
    let (width, height) = decoder.dimensions();
    check_pixels(width, height)?;
    let orientation = exif
        .or_else(|| decoder.orientation().ok())
        .unwrap_or(Orientation::NoTransforms);
    let mut image = to_eight_bits(scale_down(DynamicImage::from_decoder(decoder)?, MAX_SIDE));
    image.apply_orientation(orientation);
    Ok(image)
}

fn check_pixels(width: u32, height: u32) -> Result<(), PictureError> {
    match u64::from(width) * u64::from(height) {
        0 => Err(PictureError::NotAPicture),
        1..=MAX_PIXELS => Ok(()),
        _ => Err(PictureError::TooManyPixels),
    }
}

/// Takes the file, so that a decoder which copies it does not keep it twice.
fn new_decoder(format: Format, file: Vec<u8>) -> ImageResult<impl ImageDecoder> {
    let mut limits = Limits::no_limits();
    limits.max_alloc = Some(MAX_DATA_BYTES);
    let mut reader = ImageReader::with_format(Cursor::new(file), format.decoder());
    reader.limits(limits);
    reader.into_decoder()
}

impl From<ImageError> for PictureError {
    fn from(_: ImageError) -> Self {
        Self::NotAPicture
    }
}

/// Scales down to at most this width and height, keeping the aspect ratio. Colors count by their alpha, so that those of
/// transparent pixels do not appear at the edges. Nothing of the size of the original is allocated.
pub(crate) fn scale_down(mut image: DynamicImage, max_side: u32) -> DynamicImage {
    if image.width() <= max_side && image.height() <= max_side {
        return image;
    }
    map_colors(&mut image, |color, alpha, max| {
        (color * alpha + max / 2) / max
    });
    let mut small = image.thumbnail(max_side, max_side);
    map_colors(&mut small, |color, alpha, max| {
        (color * max + alpha / 2)
            .checked_div(alpha)
            .unwrap_or(0)
            .min(max)
    });
    small
}

/// Applies a function of color, alpha and their maximum to every color of an image with transparency.
fn map_colors(image: &mut DynamicImage, weigh: impl Fn(u32, u32, u32) -> u32) {
    if let Some(pixels) = image.as_mut_luma_alpha8() {
        map_samples(pixels, 2, u8::MAX.into(), weigh);
    } else if let Some(pixels) = image.as_mut_rgba8() {
        map_samples(pixels, 4, u8::MAX.into(), weigh);
    } else if let Some(pixels) = image.as_mut_luma_alpha16() {
        map_samples(pixels, 2, u16::MAX.into(), weigh);
    } else if let Some(pixels) = image.as_mut_rgba16() {
        map_samples(pixels, 4, u16::MAX.into(), weigh);
    }
}

fn map_samples<T>(
    samples: &mut [T],
    channels: usize,
    max: u32,
    weigh: impl Fn(u32, u32, u32) -> u32,
) where
    T: Copy + Into<u32> + TryFrom<u32>,
{
    for pixel in samples.chunks_exact_mut(channels) {
        let Some((alpha, colors)) = pixel.split_last_mut() else {
            continue;
        };
        for color in colors {
            *color = T::try_from(weigh((*color).into(), (*alpha).into(), max)).unwrap_or(*color);
        }
    }
}

/// Returns 8 bits a channel, and alpha only if a pixel is transparent. What was under fully transparent pixels is gone.
fn to_eight_bits(image: DynamicImage) -> DynamicImage {
    let color = image.color();
    let mut image: DynamicImage = match (color.has_color(), color.has_alpha()) {
        (true, true) => image.into_rgba8().into(),
        (true, false) => image.into_rgb8().into(),
        (false, true) => image.into_luma_alpha8().into(),
        (false, false) => image.into_luma8().into(),
    };
    let is_transparent = image
        .as_luma_alpha8()
        .is_some_and(|gray| gray.pixels().any(|pixel| pixel.0[1] < u8::MAX))
        || image
            .as_rgba8()
            .is_some_and(|pixels| pixels.pixels().any(|pixel| pixel.0[3] < u8::MAX));
    if is_transparent {
        map_colors(
            &mut image,
            |color, alpha, _| if alpha == 0 { 0 } else { color },
        );
        return image;
    }
    if color.has_color() {
        image.into_rgb8().into()
    } else {
        image.into_luma8().into()
    }
}
