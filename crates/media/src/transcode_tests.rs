//! Tests of decoding, scaling and encoding with images of every format.

use std::io::Cursor;

use image::{
    Delay, DynamicImage, Frame, GrayImage, ImageEncoder, Luma, Rgb, RgbImage, Rgba, RgbaImage,
    codecs::{gif::GifEncoder, jpeg::JpegEncoder, png::PngEncoder, webp::WebPEncoder},
    imageops::FilterType,
    metadata::Orientation,
};
use proptest::prelude::*;

use super::*;
use crate::{
    decode::{MAX_PIXELS, MAX_SIDE},
    encode::MAX_BYTES,
    file_structure,
};

const SECRET: &str = "52.3731,4.8922";

/// An image of two colors, which a GIF preserves. It is wider than high and not symmetric, so that
/// rotations are visible.
fn pixels() -> DynamicImage {
    let color = |x, y| {
        if x < 4 || y < 2 {
            Rgb([200, 30, 30])
        } else {
            Rgb([20, 20, 220])
        }
    };
    RgbImage::from_fn(13, 7, color).into()
}

fn file(format: Format, image: &DynamicImage) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    image.write_to(&mut bytes, format.decoder()).unwrap();
    bytes.into_inner()
}

fn sample(format: Format) -> Vec<u8> {
    file(format, &pixels())
}

fn decoded(bytes: &[u8]) -> Result<Picture, PictureError> {
    Picture::decode(bytes.to_vec())
}

/// Returns the format in which a file of this format is served.
const fn served_format(format: Format) -> Format {
    match format {
        Format::Png | Format::Gif => Format::Png,
        Format::Jpeg => Format::Jpeg,
        Format::Webp => Format::Webp,
    }
}

/// Returns the same noise each time, which no encoder compresses well.
fn noise(width: u32, height: u32) -> RgbaImage {
    let mut state = 1_u32;
    let mut byte = || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state.to_le_bytes()[1]
    };
    RgbaImage::from_fn(width, height, |_, _| Rgba([byte(), byte(), byte(), byte()]))
}

/// Returns EXIF with an orientation and a text.
fn exif(orientation: u8) -> Vec<u8> {
    let mut exif = b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0".to_vec();
    exif.extend([orientation, 0, 0, 0, 0, 0, 0, 0]);
    [exif.as_slice(), SECRET.as_bytes()].concat()
}

/// Returns a file with EXIF and a color profile, or a comment in a GIF.
fn sample_with_metadata(format: Format, orientation: u8) -> Vec<u8> {
    fn write(mut encoder: impl ImageEncoder, orientation: u8) {
        encoder.set_exif_metadata(exif(orientation)).unwrap();
        encoder
            .set_icc_profile(format!("profile {SECRET}").into_bytes())
            .unwrap();
        pixels().write_with_encoder(encoder).unwrap();
    }
    let mut bytes = Vec::new();
    match format {
        Format::Png => write(PngEncoder::new(&mut bytes), orientation),
        Format::Jpeg => write(JpegEncoder::new_with_quality(&mut bytes, 95), orientation),
        Format::Webp => write(WebPEncoder::new_lossless(&mut bytes), orientation),
        Format::Gif => {
            bytes = sample(format);
            bytes.pop();
            bytes.extend(b"\x21\xfe\x0e");
            bytes.extend(SECRET.as_bytes());
            bytes.extend(b"\0\x3b");
        }
    }
    bytes
}

fn contains(bytes: &[u8], text: &str) -> bool {
    bytes
        .windows(text.len())
        .any(|window| window == text.as_bytes())
}

fn image_of(picture: &Picture) -> DynamicImage {
    image::load_from_memory_with_format(&picture.bytes, picture.format.decoder()).unwrap()
}

/// Returns the largest difference between samples at the same position.
fn difference(one: &DynamicImage, other: &DynamicImage) -> u8 {
    assert_eq!((one.width(), one.height()), (other.width(), other.height()));
    let one = one.to_rgb8();
    let other = other.to_rgb8();
    one.iter()
        .zip(other.iter())
        .map(|(one, other)| one.abs_diff(*other))
        .max()
        .unwrap()
}

fn chunk(kind: &[u8; 4], data: &[u8]) -> Vec<u8> {
    let body = [kind.as_slice(), data].concat();
    let crc = body.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
            if crc & 1 == 1 {
                crc >> 1 ^ 0xedb8_8320
            } else {
                crc >> 1
            }
        })
    });
    let length = u32::try_from(data.len()).unwrap().to_be_bytes();
    [length.as_slice(), &body, &(!crc).to_be_bytes()].concat()
}

#[test]
fn every_format_keeps_its_pixels() {
    for format in Format::ALL {
        let picture = decoded(&sample(format)).unwrap();
        assert_eq!(
            (picture.format, Format::detect(&picture.bytes)),
            (served_format(format), Some(served_format(format)))
        );
        let off = difference(&image_of(&picture), &pixels());
        assert!(
            off == 0 || (format == Format::Jpeg && off < 60),
            "{format:?}: {off}"
        );
        // A result can be decoded again.
        assert!(decoded(&picture.bytes).is_ok());
    }
}

#[test]
fn deep_and_gray_colors_are_accepted() {
    let images: [DynamicImage; 6] = [
        pixels().into_rgba16().into(),
        pixels().into_rgb16().into(),
        pixels().into_luma16().into(),
        pixels().into_luma_alpha16().into(),
        pixels().into_luma_alpha8().into(),
        pixels().into_rgba8().into(),
    ];
    for image in images {
        let read = image_of(&decoded(&file(Format::Png, &image)).unwrap());
        // An alpha channel of opaque pixels only is not kept.
        assert!(!read.color().has_alpha());
        assert_eq!(read.color().has_color(), image.color().has_color());
        assert_eq!(
            read.color().bits_per_pixel() / u16::from(read.color().channel_count()),
            8
        );
        assert!(difference(&read, &image) <= 1);
    }
}

#[test]
fn palettes_and_low_bit_depths_are_accepted() {
    for (depth, data) in [
        (png::BitDepth::One, [0b0100_0000]),
        (png::BitDepth::Two, [0b0001_0000]),
    ] {
        let mut bytes = Vec::new();
        let mut encoder = png::Encoder::new(&mut bytes, 2, 1);
        encoder.set_color(png::ColorType::Indexed);
        encoder.set_depth(depth);
        encoder.set_palette(vec![255, 0, 0, 0, 0, 255]);
        encoder.set_trns(vec![255, 128]);
        encoder
            .write_header()
            .unwrap()
            .write_image_data(&data)
            .unwrap();
        let read = image_of(&decoded(&bytes).unwrap()).into_rgba8();
        assert_eq!(
            (read.get_pixel(0, 0).0, read.get_pixel(1, 0).0),
            ([255, 0, 0, 255], [0, 0, 255, 128])
        );
    }
}

/// Returns a gray PNG of 8 by 8 pixels in the seven passes of Adam7. The value of a pixel is 16
/// times its column plus its row.
fn interlaced() -> Vec<u8> {
    let mut data = Vec::new();
    for (x0, y0, dx, dy) in [
        (0, 0, 8, 8),
        (4, 0, 8, 8),
        (0, 4, 4, 8),
        (2, 0, 4, 4),
        (0, 2, 2, 4),
        (1, 0, 2, 2),
        (0, 1, 1, 2),
    ] {
        for y in (y0..8).step_by(dy) {
            data.push(0);
            data.extend((x0..8).step_by(dx).map(|x: u8| 16 * x + y));
        }
    }
    let (low, high) = data.iter().fold((1_u32, 0_u32), |(low, high), byte| {
        let low = (low + u32::from(*byte)) % 65_521;
        (low, (high + low) % 65_521)
    });
    let length = u16::try_from(data.len()).unwrap();
    let stored = [
        &[0x78, 1, 1],
        &length.to_le_bytes()[..],
        &(!length).to_le_bytes(),
        &data,
    ]
    .concat();
    let zlib = [stored, (high << 16 | low).to_be_bytes().to_vec()].concat();
    let head = [0, 0, 0, 8, 0, 0, 0, 8, 8, 0, 0, 0, 1];
    let signature = b"\x89PNG\r\n\x1a\n".to_vec();
    [
        signature,
        chunk(b"IHDR", &head),
        chunk(b"IDAT", &zlib),
        chunk(b"IEND", &[]),
    ]
    .concat()
}

#[test]
fn interlaced_png_is_accepted() {
    let expected = GrayImage::from_fn(8, 8, |x, y| Luma([u8::try_from(16 * x + y).unwrap()]));
    assert_eq!(
        difference(
            &image_of(&decoded(&interlaced()).unwrap()),
            &expected.into()
        ),
        0
    );
}

fn jpeg(
    image: &[u8],
    width: u16,
    height: u16,
    color: jpeg_encoder::ColorType,
    configure: impl Fn(&mut jpeg_encoder::Encoder<&mut Vec<u8>>),
) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = jpeg_encoder::Encoder::new(&mut bytes, 95);
    configure(&mut encoder);
    encoder.encode(image, width, height, color).unwrap();
    bytes
}

#[test]
fn progressive_jpegs_of_every_sampling_are_accepted() {
    use jpeg_encoder::{ColorType, SamplingFactor};
    let expected: DynamicImage =
        RgbImage::from_fn(
            61,
            45,
            |x, _| if x < 32 { Rgb([200; 3]) } else { Rgb([20; 3]) },
        )
        .into();
    let rgb = expected.to_rgb8();
    for sampling in [
        SamplingFactor::F_1_1,
        SamplingFactor::F_2_1,
        SamplingFactor::F_2_2,
        SamplingFactor::F_1_2,
    ] {
        for (is_progressive, restart_interval) in [(true, 0), (false, 0), (true, 3), (false, 3)] {
            let bytes = jpeg(&rgb, 61, 45, ColorType::Rgb, |encoder| {
                encoder.set_progressive(is_progressive);
                encoder.set_sampling_factor(sampling);
                encoder.set_restart_interval(restart_interval);
            });
            let off = difference(&image_of(&decoded(&bytes).unwrap()), &expected);
            assert!(
                off < 60,
                "{sampling:?} {is_progressive} {restart_interval}: {off}"
            );
        }
    }
}

#[test]
fn cmyk_jpegs_are_accepted() {
    use jpeg_encoder::ColorType;
    // Cyan has no red and much green and blue.
    let cyan = [255, 0, 0, 0].repeat(16 * 16);
    for color in [ColorType::Cmyk, ColorType::CmykAsYcck] {
        for is_progressive in [false, true] {
            let bytes = jpeg(&cyan, 16, 16, color, |encoder| {
                encoder.set_progressive(is_progressive);
            });
            let [red, green, blue] = image_of(&decoded(&bytes).unwrap())
                .to_rgb8()
                .get_pixel(8, 8)
                .0;
            assert!(
                red < 60 && green > 120 && blue > 120,
                "{color:?} {is_progressive}: {red} {green} {blue}"
            );
        }
    }
}

#[test]
fn metadata_is_removed() {
    for format in Format::ALL {
        let bytes = sample_with_metadata(format, 1);
        assert!(contains(&bytes, SECRET), "{format:?}");
        let picture = decoded(&bytes).unwrap();
        assert!(!contains(&picture.bytes, SECRET), "{format:?}");
    }
    let png = sample(Format::Png);
    let text = chunk(b"tEXt", format!("Comment\0{SECRET}").as_bytes());
    let bytes = [&png[..33], &text, &png[33..]].concat();
    assert_eq!(decoded(&bytes), decoded(&png));
    let jpeg = sample(Format::Jpeg);
    let comment = [b"\xff\xfe\0\x10".as_slice(), SECRET.as_bytes()].concat();
    assert_eq!(
        decoded(&[&jpeg[..2], &comment, &jpeg[2..]].concat()),
        decoded(&jpeg)
    );
    // The colors of transparent pixels are removed as well.
    let mut hidden = noise(20, 20);
    hidden.pixels_mut().for_each(|pixel| pixel.0[3] = 0);
    let read = image_of(&decoded(&file(Format::Png, &hidden.into())).unwrap());
    assert!(read.into_rgba8().iter().all(|sample| *sample == 0));
}

fn rotate(orientation: u8) -> DynamicImage {
    let mut expected = pixels();
    expected.apply_orientation(Orientation::from_exif(orientation).unwrap());
    expected
}

#[test]
fn exif_orientation_is_applied() {
    for format in [Format::Png, Format::Jpeg, Format::Webp] {
        for orientation in 1..=8 {
            let read = image_of(&decoded(&sample_with_metadata(format, orientation)).unwrap());
            assert!(
                difference(&read, &rotate(orientation)) < 60,
                "{format:?} {orientation}"
            );
        }
        assert!(decoded(&sample_with_metadata(format, 77)).is_ok());
    }
}

#[test]
fn exif_after_the_pixels_or_with_a_prefix_is_applied() {
    let png = sample(Format::Png);
    let (before, end) = png.split_at(png.len() - 12);
    let webp = sample_with_metadata(Format::Webp, 6);
    let position = webp
        .windows(4)
        .position(|window| window == b"EXIF")
        .unwrap()
        + 4;
    let length = u32::from_le_bytes(webp[position..position + 4].try_into().unwrap());
    let riff = u32::from_le_bytes(webp[4..8].try_into().unwrap()) + 6;
    let prefixed = [
        &webp[..4],
        &riff.to_le_bytes(),
        &webp[8..position],
        &(length + 6).to_le_bytes(),
        b"Exif\0\0",
        &webp[position + 4..],
    ]
    .concat();
    let big_endian = b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0".to_vec();
    for bytes in [
        [before, &chunk(b"eXIf", &exif(6)), end].concat(),
        [before, &chunk(b"eXIf", &big_endian), end].concat(),
        prefixed,
    ] {
        assert_eq!(
            difference(&image_of(&decoded(&bytes).unwrap()), &rotate(6)),
            0
        );
    }
}

#[test]
fn large_pictures_are_scaled_and_keep_their_ratio() {
    for format in Format::ALL {
        for (size, expected) in [
            ((2048, 1024), (1024, 512)),
            ((1025, 3), (1024, 3)),
            ((700, 2100), (341, 1024)),
            ((5000, 1), (1024, 1)),
            ((1024, 1024), (1024, 1024)),
        ] {
            let image = pixels().resize_exact(size.0, size.1, FilterType::Nearest);
            let read = image_of(&decoded(&file(format, &image)).unwrap());
            assert_eq!(
                (read.width(), read.height()),
                expected,
                "{format:?} {size:?}"
            );
            let corners = [(0, 0), (read.width() - 1, read.height() - 1)]
                .map(|(x, y)| read.to_rgb8().get_pixel(x, y).0);
            let originals =
                [(0, 0), (size.0 - 1, size.1 - 1)].map(|(x, y)| image.to_rgb8().get_pixel(x, y).0);
            for (is, was) in corners.iter().flatten().zip(originals.iter().flatten()) {
                assert!(
                    is.abs_diff(*was) < 40,
                    "{format:?} {size:?}: {corners:?} {originals:?}"
                );
            }
        }
    }
}

#[test]
fn scaling_precedes_rotation() {
    let mut bytes = Vec::new();
    let mut encoder = JpegEncoder::new_with_quality(&mut bytes, 90);
    encoder.set_exif_metadata(exif(6)).unwrap();
    pixels()
        .resize_exact(3000, 1500, FilterType::Nearest)
        .write_with_encoder(encoder)
        .unwrap();
    let read = image_of(&decoded(&bytes).unwrap());
    assert_eq!((read.width(), read.height()), (512, 1024));
}

#[test]
fn transparency_is_kept_and_hidden_colors_are_removed() {
    // Visible green next to transparent red.
    let color = |x: u32, alpha: u8| {
        if x.is_multiple_of(2) {
            Rgba([0, 200, 0, alpha])
        } else {
            Rgba([255, 0, 0, 0])
        }
    };
    for alpha in [255, 100] {
        let image: DynamicImage = RgbaImage::from_fn(2048, 64, |x, _| color(x, alpha)).into();
        for image in [image.clone(), image.into_rgba16().into()] {
            for format in [Format::Png, Format::Webp] {
                // WebP has 8 bits per channel.
                let image = if format == Format::Webp {
                    image.to_rgba8().into()
                } else {
                    image.clone()
                };
                let picture = decoded(&file(format, &image)).unwrap();
                assert_eq!(picture.format, format);
                let [red, green, _, is] = image_of(&picture).into_rgba8().get_pixel(500, 16).0;
                assert!(
                    red == 0 && green.abs_diff(200) < 4 && is.abs_diff(alpha / 2) < 3,
                    "{red} {green} {is}"
                );
            }
        }
    }
    let mut gif = Vec::new();
    let image = RgbaImage::from_fn(64, 64, |x, _| {
        if x < 32 {
            Rgba([0, 200, 0, 255])
        } else {
            Rgba([0; 4])
        }
    });
    GifEncoder::new(&mut gif)
        .encode_frame(Frame::new(image))
        .unwrap();
    let picture = decoded(&gif).unwrap();
    let read = image_of(&picture).into_rgba8();
    assert_eq!(
        (
            picture.format,
            read.get_pixel(9, 9).0[3],
            read.get_pixel(40, 9).0[3]
        ),
        (Format::Png, 255, 0)
    );
}

#[test]
fn served_image_is_small_even_for_noise() {
    for (width, height) in [(1024, 1024), (1500, 1500), (1024, 700)] {
        let transparent: DynamicImage = noise(width, height).into();
        let opaque: DynamicImage = transparent.to_rgb8().into();
        for format in Format::ALL {
            let picture = decoded(&file(format, &opaque)).unwrap();
            assert!(
                picture.bytes.len() <= MAX_BYTES,
                "{format:?}: {}",
                picture.bytes.len()
            );
            assert_eq!(
                (picture.format, Format::detect(&picture.bytes)),
                (Format::Jpeg, Some(Format::Jpeg)),
                "{format:?}"
            );
        }
        for format in [Format::Png, Format::Webp] {
            let picture = decoded(&file(format, &transparent)).unwrap();
            assert!(
                picture.bytes.len() <= MAX_BYTES,
                "{format:?}: {}",
                picture.bytes.len()
            );
            assert_eq!(Format::detect(&picture.bytes), Some(picture.format));
            let read = image_of(&picture);
            assert!(
                read.color().has_alpha() && read.width() > 250,
                "{format:?}: {}",
                read.width()
            );
            let ratio = f64::from(read.width()) / f64::from(read.height());
            assert!(
                (ratio - f64::from(width) / f64::from(height)).abs() < 0.02,
                "{ratio}"
            );
        }
    }
}

/// Returns files of every format whose header claims these dimensions, without the pixels.
fn files_claiming(width: u32, height: u32) -> Vec<Vec<u8>> {
    let mut head = [width.to_be_bytes(), height.to_be_bytes()].concat();
    head.extend([8, 6, 0, 0, 0]);
    let signature = b"\x89PNG\r\n\x1a\n".to_vec();
    let png = [
        signature,
        chunk(b"IHDR", &head),
        chunk(b"IDAT", &[0; 100]),
        chunk(b"IEND", &[]),
    ]
    .concat();
    let w = u16::try_from(width).unwrap_or(u16::MAX);
    let h = u16::try_from(height).unwrap_or(u16::MAX);
    let mut gif = sample(Format::Gif);
    gif[6..10].copy_from_slice(&[w.to_le_bytes(), h.to_le_bytes()].concat());
    let mut jpegs = [
        sample(Format::Jpeg),
        jpeg(&[9; 64], 8, 8, jpeg_encoder::ColorType::Luma, |encoder| {
            encoder.set_progressive(true);
        }),
    ];
    for jpeg in &mut jpegs {
        let frame = jpeg
            .windows(2)
            .position(|marker| marker == [0xff, 0xc0] || marker == [0xff, 0xc2])
            .unwrap();
        jpeg[frame + 5..frame + 9].copy_from_slice(&[h.to_be_bytes(), w.to_be_bytes()].concat());
    }
    let mut webp = sample_with_metadata(Format::Webp, 1);
    webp[24..27].copy_from_slice(&(width - 1).to_le_bytes()[..3]);
    webp[27..30].copy_from_slice(&(height - 1).to_le_bytes()[..3]);
    [vec![png, gif, webp], jpegs.to_vec()].concat()
}

#[test]
fn too_many_pixels_are_rejected_by_the_header() {
    for (width, height) in [
        (50_000, 50_000),
        (7072, 7071),
        (60_000, 834),
        (65_535, 65_535),
    ] {
        for bytes in files_claiming(width, height) {
            assert_eq!(
                decoded(&bytes),
                Err(PictureError::TooManyPixels),
                "{:?}: {width}",
                Format::detect(&bytes)
            );
        }
    }
    let mut lossless = sample(Format::Webp);
    lossless[21..25].fill(0xff);
    assert_eq!(decoded(&lossless), Err(PictureError::TooManyPixels));
    // The maximum number of pixels is accepted, in two shapes.
    for size in [(50_000, 1000), (1000, 50_000)] {
        assert_eq!(u64::from(size.0 * size.1), MAX_PIXELS);
        let image = GrayImage::new(size.0, size.1).into();
        let read = image_of(&decoded(&file(Format::Png, &image)).unwrap());
        assert_eq!(read.width().max(read.height()), MAX_SIDE);
    }
    // A frame far larger than its image, and images without pixels, are rejected.
    let mut gif = sample(Format::Gif);
    let frame = gif.iter().position(|byte| *byte == 0x2c).unwrap();
    gif[frame + 5..frame + 9].fill(0xff);
    assert_eq!(decoded(&gif), Err(PictureError::NotAPicture));
    for empty in files_claiming(1, 1) {
        let mut empty = empty;
        if let Some(Format::Gif) = Format::detect(&empty) {
            empty[6..10].fill(0);
        }
        assert_eq!(
            decoded(&empty)
                .err()
                .filter(|error| *error != PictureError::NotAPicture),
            None
        );
    }
}

#[test]
fn truncated_file_is_rejected() {
    for format in [Format::Png, Format::Jpeg, Format::Webp] {
        for bytes in [sample(format), sample_with_metadata(format, 6)] {
            assert!(decoded(&bytes).is_ok());
            for length in 0..bytes.len() {
                assert_eq!(
                    decoded(&bytes[..length]),
                    Err(PictureError::NotAPicture),
                    "{format:?}: {length}"
                );
            }
        }
    }
}

#[test]
fn gif_needs_only_its_first_frame() {
    let mut bytes = Vec::new();
    let mut encoder = GifEncoder::new(&mut bytes);
    let frame = |number: u8| {
        let image = RgbImage::from_pixel(13, 7, Rgb([number, 255 - number, 9]));
        Frame::from_parts(
            DynamicImage::from(image).into_rgba8(),
            0,
            0,
            Delay::from_numer_denom_ms(50, 1),
        )
    };
    encoder.encode_frames((0..250).map(frame)).unwrap();
    drop(encoder);
    let picture = decoded(&bytes).unwrap();
    assert_eq!(
        difference(
            &image_of(&picture),
            &DynamicImage::from(frame(0).into_buffer())
        ),
        0
    );
    assert!(picture.bytes.len() < bytes.len() / 10);
    let end = file_structure::find_length(Format::Gif, &bytes).unwrap();
    for length in 0..end {
        assert_eq!(
            decoded(&bytes[..length]),
            Err(PictureError::NotAPicture),
            "{length}"
        );
    }
    for length in [end, end + 1, end + 20, bytes.len() / 2, bytes.len() - 1] {
        assert_eq!(decoded(&bytes[..length]), Ok(picture.clone()), "{length}");
    }
    let mut whole = sample_with_metadata(Format::Gif, 1);
    whole.pop();
    assert_eq!(decoded(&whole), decoded(&sample(Format::Gif)));
}

#[test]
fn trailing_bytes_are_removed() {
    for format in Format::ALL {
        let bytes = sample(format);
        for tail in [
            "PK\x03\x04 an archive",
            "<html><script>alert(1)</script>",
            "\0",
            "\u{d9}",
        ] {
            assert_eq!(
                decoded(&[&bytes, tail.as_bytes()].concat()),
                decoded(&bytes),
                "{format:?}"
            );
        }
    }
    let gif = sample(Format::Gif);
    let script = b"\x21\xfe\x0a*/alert(1)\0";
    let polyglot = [&gif[..gif.len() - 1], script, b"\x3b/*"].concat();
    assert_eq!(decoded(&polyglot), decoded(&gif));
}

#[test]
fn other_formats_are_rejected() {
    let bmp = [
        b"BM\x46\0\0\0\0\0\0\0\x36\0\0\0\x28\0\0\0\x01\0\0\0\x01\0\0\0\x01\0\x18\0".as_slice(),
        &[0; 28],
    ]
    .concat();
    let others: [&[u8]; 12] = [
        b"",
        b"x",
        b"<svg xmlns=\"http://www.w3.org/2000/svg\"><script>alert(1)</script></svg>",
        b"<!DOCTYPE html><script>alert(1)</script>",
        b"%PDF-1.7",
        b"PK\x03\x04",
        b"II*\0\x08\0\0\0\0\0\0\0",
        b"MM\0*\0\0\0\x08",
        b"RIFF\x24\0\0\0WAVEfmt ",
        b"\0\0\0\x20ftypavif\0\0\0\0",
        b"\0\0\x01\0\x01\0\x10\x10",
        &bmp,
    ];
    for bytes in others {
        assert_eq!(decoded(bytes), Err(PictureError::NotAPicture));
    }
    let mut empty = sample(Format::Gif);
    empty[6..10].fill(0);
    assert_eq!(decoded(&empty), Err(PictureError::NotAPicture));
}

fn format() -> impl Strategy<Value = Format> {
    prop::sample::select(Format::ALL.to_vec())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    /// Decodes in this process, so that a panic of a decoder fails the test.
    #[test]
    fn mutated_files_decode_or_are_rejected(
        format in format(),
        orientation in 0..10_u8,
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
        cut in any::<prop::sample::Index>(),
        noise in prop::collection::vec(any::<u8>(), 0..40),
    ) {
        let mut bytes = sample_with_metadata(format, orientation);
        for (position, byte) in changes {
            let position = position.index(bytes.len());
            bytes[position] = byte;
        }
        if let Ok(picture) = decoded(&bytes) {
            prop_assert!(decoded(&picture.bytes).is_ok());
        }
        let position = cut.index(bytes.len());
        bytes.splice(position..position, noise);
        if let Ok(picture) = decoded(&bytes) {
            prop_assert!(decoded(&picture.bytes).is_ok());
        }
    }
}
