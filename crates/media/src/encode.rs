//! From pixels to a file that is small enough to be served.

use image::{
    DynamicImage, ImageResult,
    codecs::{
        jpeg::JpegEncoder,
        png::{CompressionType, FilterType, PngEncoder},
        webp::WebPEncoder,
    },
};

use crate::{Format, Picture, PictureError, decode::scale_down};

/// Maximum size of a file that is served.
pub(crate) const MAX_BYTES: usize = 512 * 1024;
/// Qualities of JPEG that are tried, of 100. The first is not told apart from the original.
const JPEG_QUALITIES: [u8; 4] = [90, 75, 60, 45];

/// Encodes in the format of the source if that gets small enough, else as JPEG with falling quality, or, with transparency,
/// as WebP; then smaller and smaller. GIF becomes PNG.
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

/// Estimates the side that fits: the size of a file grows with the square of it. At least a tenth smaller, so that it ends.
fn estimate_side(side: u32, bytes: usize) -> u32 {
    let (max, bytes) = (
        u64::try_from(MAX_BYTES).unwrap_or(u64::MAX),
        u64::try_from(bytes).unwrap_or(u64::MAX),
    );
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
                let (compression, filter) = (CompressionType::Default, FilterType::Adaptive);
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
