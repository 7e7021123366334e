//! Encodes pixels to a file that is small enough to be served.

use image::{
    DynamicImage, ImageResult,
    codecs::{
        jpeg::JpegEncoder,
        png::{CompressionType, FilterType, PngEncoder},
        webp::WebPEncoder,
    },
};

use crate::{decode::scale_down, error::PictureError, format::Format, picture::Picture};

/// Maximum size of a served file.
pub(crate) const MAX_BYTES: usize = 512 * 1024;
/// JPEG qualities in the order in which they are tried, on a scale of 100. At the first one, no
/// difference from the original is visible.
const JPEG_QUALITIES: [u8; 4] = [90, 75, 60, 45];

/// Encodes an image in the format of its source if the result is small enough. Otherwise tries JPEG
/// with decreasing quality, or WebP for an image with transparency, and then smaller dimensions.
/// GIF becomes PNG.
pub(crate) fn encode(mut image: DynamicImage, source: Format) -> Result<Picture, PictureError> {
    loop {
        let mut smallest = usize::MAX;
        for encoding in list_encodings(source, image.color().has_alpha()) {
            let picture = encoding.encode(&image)?;
            if picture.bytes.len() <= MAX_BYTES {
                return Ok(picture);
            }
            smallest = smallest.min(picture.bytes.len());
        }
        let side = image.width().max(image.height());
        image = scale_down(image, estimate_side(side, smallest));
    }
}

/// Estimates the longer side at which the file is small enough, given that its size grows with the
/// square of the side. The result is at least a tenth smaller, so that the loop ends.
fn estimate_side(side: u32, bytes: usize) -> u32 {
    let max = u64::try_from(MAX_BYTES).unwrap_or(u64::MAX);
    let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
    let fitting = (u64::from(side) * u64::from(side) * max / bytes.max(1)).isqrt();
    u32::try_from(fitting)
        .unwrap_or(side)
        .min(side / 10 * 9)
        .max(1)
}

#[derive(Debug, Clone, Copy)]
enum Encoding {
    Png,
    Webp,
    Jpeg { quality: u8 },
}

/// Lists the encodings to try, in order. Without transparency, the last ones are always JPEG.
fn list_encodings(source: Format, has_alpha: bool) -> Vec<Encoding> {
    let qualities = || {
        JPEG_QUALITIES
            .into_iter()
            .map(|quality| Encoding::Jpeg { quality })
    };
    let lossless: &[Encoding] = match (source, has_alpha) {
        (Format::Jpeg, false) => &[],
        (Format::Png | Format::Gif, false) => &[Encoding::Png],
        (Format::Webp, false) => &[Encoding::Webp],
        (Format::Png | Format::Gif | Format::Jpeg, true) => {
            return vec![Encoding::Png, Encoding::Webp];
        }
        (Format::Webp, true) => return vec![Encoding::Webp, Encoding::Png],
    };
    lossless.iter().copied().chain(qualities()).collect()
}

impl Encoding {
    fn encode(self, image: &DynamicImage) -> ImageResult<Picture> {
        let mut bytes = Vec::new();
        let format = match self {
            Self::Png => {
                let compression = CompressionType::Default;
                let filter = FilterType::Adaptive;
                image.write_with_encoder(PngEncoder::new_with_quality(
                    &mut bytes,
                    compression,
                    filter,
                ))?;
                Format::Png
            }
            Self::Webp => {
                image.write_with_encoder(WebPEncoder::new_lossless(&mut bytes))?;
                Format::Webp
            }
            Self::Jpeg { quality } => {
                image.write_with_encoder(JpegEncoder::new_with_quality(&mut bytes, quality))?;
                Format::Jpeg
            }
        };
        Ok(Picture { format, bytes })
    }
}
