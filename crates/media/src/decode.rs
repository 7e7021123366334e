//! Decodes a file to pixels that are upright, have 8 bits per channel and are at most as large as a
//! served image. It runs only in a decoder process, whose limits bound its memory and time.

use std::io::Cursor;

use image::{
    DynamicImage, ImageDecoder, ImageError, ImageReader, ImageResult, Limits, metadata::Orientation,
};

use crate::{error::PictureError, file_structure, format::Format};

/// Maximum heap of a decoder. With the program itself and its stack, the process stays below 512
/// MiB.
pub(crate) const MAX_DATA_BYTES: u64 = 480 * 1024 * 1024;
/// Maximum width times height of a file.
pub(crate) const MAX_PIXELS: u64 = 50_000_000;
/// Maximum width and height of a served image; larger images are scaled down.
pub(crate) const MAX_SIDE: u32 = 1024;

/// Decodes the first frame. The largest files take several hundred megabytes and several seconds.
pub(crate) fn decode(format: Format, mut file: Vec<u8>) -> Result<DynamicImage, PictureError> {
    let (width, height) =
        file_structure::find_dimensions(format, &file).ok_or(PictureError::NotAPicture)?;
    // Before anything is allocated for the pixels.
    check_pixels(width, height)?;
    let length = file_structure::find_length(format, &file).ok_or(PictureError::NotAPicture)?;
    file.truncate(length);
    let exif = file_structure::find_exif(format, &file).and_then(Orientation::from_exif_chunk);
    let mut decoder = new_decoder(format, file)?;
    // The decoder can come to other dimensions than the header, so they are checked as well.
    let (width, height) = decoder.dimensions();
    check_pixels(width, height)?;
    let orientation = exif
        .or_else(|| decoder.orientation().ok())
        .unwrap_or(Orientation::NoTransforms);
    // The image is scaled before it is rotated: the rotation copies all pixels.
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

/// Returns a decoder that owns the file, so that a decoder that copies the file can drop the
/// original.
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

/// Scales an image down to at most this width and height, keeping the aspect ratio. Colors are
/// weighted by their alpha, so that the colors of transparent pixels do not appear at edges.
/// Nothing of the size of the original is allocated.
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

/// Applies a function of color, alpha and their maximum to every color of an image with
/// transparency.
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

/// Converts an image to 8 bits per channel, with alpha only if a pixel is transparent. The colors
/// of fully transparent pixels are erased, because they may show something that was meant to be
/// hidden.
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
