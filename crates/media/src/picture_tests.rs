use image::{AnimationDecoder, Delay, Frame, ImageEncoder, Rgb, RgbImage, codecs::gif::GifDecoder};
use proptest::prelude::*;

use super::*;

const SECRET: &str = "52.3731,4.8922";

/// Two colors, so that it is the same as a GIF; wider than high, and not symmetric.
fn pixels() -> DynamicImage {
    let color = |x, y| if x < 4 || y < 2 { Rgb([200, 30, 30]) } else { Rgb([20, 20, 220]) };
    RgbImage::from_fn(13, 7, color).into()
}

fn sample(format: Format) -> Vec<u8> {
    encode(format, &pixels()).unwrap()
}

/// Exif with an orientation and a text.
fn exif(orientation: u8) -> Vec<u8> {
    let mut exif = b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0".to_vec();
    exif.extend([orientation, 0, 0, 0, 0, 0, 0, 0]);
    [exif.as_slice(), SECRET.as_bytes()].concat()
}

/// With Exif and a color profile, where the format has them.
fn sample_with_metadata(format: Format, orientation: u8) -> Vec<u8> {
    fn write(mut encoder: impl ImageEncoder, orientation: u8) {
        encoder.set_exif_metadata(exif(orientation)).unwrap();
        encoder.set_icc_profile(format!("profile {SECRET}").into_bytes()).unwrap();
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
    bytes.windows(text.len()).any(|window| window == text.as_bytes())
}

fn image_of(picture: &Picture) -> DynamicImage {
    image::load_from_memory_with_format(&picture.bytes, picture.format.decoder()).unwrap()
}

/// How far the most different pixels are apart.
fn difference(one: &DynamicImage, other: &DynamicImage) -> u8 {
    assert_eq!((one.width(), one.height()), (other.width(), other.height()));
    let (one, other) = (one.to_rgb8(), other.to_rgb8());
    one.iter().zip(other.iter()).map(|(one, other)| one.abs_diff(*other)).max().unwrap()
}

fn chunk(kind: &[u8; 4], data: &[u8]) -> Vec<u8> {
    let body = [kind.as_slice(), data].concat();
    let crc = body.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| if crc & 1 == 1 { crc >> 1 ^ 0xedb8_8320 } else { crc >> 1 })
    });
    let length = u32::try_from(data.len()).unwrap().to_be_bytes();
    [length.as_slice(), &body, &(!crc).to_be_bytes()].concat()
}

#[test]
fn every_format_comes_back_as_itself_with_its_pixels() {
    for format in Format::ALL {
        let picture = rewrite(&sample(format)).unwrap();
        assert_eq!((picture.format, Format::of(&picture.bytes)), (format, Some(format)));
        let off = difference(&image_of(&picture), &pixels());
        assert!(off == 0 || (format == Format::Jpeg && off < 60), "{format:?}: {off}");
        // What is written anew once more stays a picture.
        assert!(rewrite(&picture.bytes).is_ok());
    }
}

#[test]
fn deep_and_transparent_colors_and_grays_are_taken() {
    let images: [DynamicImage; 6] = [
        pixels().into_rgba16().into(),
        pixels().into_rgb16().into(),
        pixels().into_luma16().into(),
        pixels().into_luma_alpha16().into(),
        pixels().into_luma_alpha8().into(),
        pixels().into_rgba8().into(),
    ];
    for image in images {
        let picture = rewrite(&encode(Format::Png, &image).unwrap()).unwrap();
        let read = image_of(&picture);
        assert_eq!(read.color().has_alpha(), image.color().has_alpha());
        assert_eq!(read.color().bits_per_pixel() / u16::from(read.color().channel_count()), 8);
        assert!(difference(&read, &image) <= 1);
    }
}

#[test]
fn metadata_is_gone() {
    for format in Format::ALL {
        let bytes = sample_with_metadata(format, 1);
        assert!(contains(&bytes, SECRET), "{format:?}");
        let picture = rewrite(&bytes).unwrap();
        assert!(!contains(&picture.bytes, SECRET), "{format:?}");
    }
    let png = sample(Format::Png);
    let text = chunk(b"tEXt", format!("Comment\0{SECRET}").as_bytes());
    let bytes = [&png[..33], &text, &png[33..]].concat();
    assert_eq!(rewrite(&bytes), rewrite(&png));
    let jpeg = sample(Format::Jpeg);
    let comment = [b"\xff\xfe\0\x10".as_slice(), SECRET.as_bytes()].concat();
    assert_eq!(rewrite(&[&jpeg[..2], &comment, &jpeg[2..]].concat()), rewrite(&jpeg));
}

#[test]
fn a_picture_is_turned_as_its_exif_says() {
    for format in [Format::Png, Format::Jpeg, Format::Webp] {
        for orientation in 1..=8 {
            let read = image_of(&rewrite(&sample_with_metadata(format, orientation)).unwrap());
            let mut expected = pixels();
            expected.apply_orientation(Orientation::from_exif(orientation).unwrap());
            assert!(difference(&read, &expected) < 60, "{format:?} {orientation}");
        }
        assert!(rewrite(&sample_with_metadata(format, 77)).is_ok());
    }
}

#[test]
fn too_many_pixels_are_found_in_the_head() {
    let mut head = [50_000_u32.to_be_bytes(), 50_000_u32.to_be_bytes()].concat();
    head.extend([8, 6, 0, 0, 0]);
    let png = b"\x89PNG\r\n\x1a\n".to_vec();
    let bomb = [png, chunk(b"IHDR", &head), chunk(b"IDAT", &[0; 100]), chunk(b"IEND", &[])].concat();
    assert_eq!(rewrite(&bomb), Err(PictureError::TooManyPixels));
    for format in Format::ALL {
        for (width, height) in [(4097, 1), (1, 4097)] {
            let bytes = encode(format, &RgbImage::new(width, height).into()).unwrap();
            assert_eq!(rewrite(&bytes), Err(PictureError::TooManyPixels), "{format:?}");
        }
        let largest = encode(format, &RgbImage::new(4096, 4096).into()).unwrap();
        assert!(rewrite(&largest).is_ok(), "{format:?}: {:?}", rewrite(&largest).err());
    }
    // A frame far larger than its picture.
    let mut gif = sample(Format::Gif);
    let frame = gif.iter().position(|byte| *byte == 0x2c).unwrap();
    gif[frame + 5..frame + 9].fill(0xff);
    assert!(rewrite(&gif).is_err());
}

#[test]
fn what_is_cut_off_anywhere_is_no_picture() {
    for format in Format::ALL {
        for bytes in [sample(format), sample_with_metadata(format, 6)] {
            assert!(rewrite(&bytes).is_ok());
            for length in 0..bytes.len() {
                assert_eq!(rewrite(&bytes[..length]), Err(PictureError::NotAPicture), "{format:?}: {length}");
            }
        }
    }
}

#[test]
fn what_follows_a_picture_is_gone() {
    for format in Format::ALL {
        let bytes = sample(format);
        for tail in ["PK\x03\x04 an archive", "<html><script>alert(1)</script>", "\0", "\u{d9}"] {
            assert_eq!(rewrite(&[&bytes, tail.as_bytes()].concat()), rewrite(&bytes), "{format:?}");
        }
    }
    let gif = sample(Format::Gif);
    let script = b"\x21\xfe\x0a*/alert(1)\0";
    let polyglot = [&gif[..gif.len() - 1], script, b"\x3b/*"].concat();
    assert_eq!(rewrite(&polyglot), rewrite(&gif));
}

#[test]
fn other_formats_are_refused_whatever_they_are_called() {
    let bmp =
        [b"BM\x46\0\0\0\0\0\0\0\x36\0\0\0\x28\0\0\0\x01\0\0\0\x01\0\0\0\x01\0\x18\0".as_slice(), &[0; 28]].concat();
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
        assert_eq!(rewrite(bytes), Err(PictureError::NotAPicture));
    }
    let mut empty = sample(Format::Gif);
    empty[6..10].fill(0);
    assert_eq!(rewrite(&empty), Err(PictureError::NotAPicture));
}

#[test]
fn of_an_animation_the_first_frame_is_left() {
    let mut bytes = Vec::new();
    let mut encoder = GifEncoder::new(&mut bytes);
    let frame = |number: u8| {
        let image = RgbImage::from_pixel(13, 7, Rgb([number, 255 - number, 9]));
        Frame::from_parts(DynamicImage::from(image).into_rgba8(), 0, 0, Delay::from_numer_denom_ms(50, 1))
    };
    encoder.encode_frames((0..250).map(frame)).unwrap();
    drop(encoder);
    let picture = rewrite(&bytes).unwrap();
    assert_eq!(difference(&image_of(&picture), &DynamicImage::from(frame(0).into_buffer())), 0);
    let frames = GifDecoder::new(Cursor::new(&picture.bytes)).unwrap().into_frames();
    assert_eq!(frames.count(), 1);
    assert!(picture.bytes.len() < bytes.len() / 10);
}

fn format() -> impl Strategy<Value = Format> {
    prop::sample::select(Format::ALL.to_vec())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    /// Without the last resort, so that a decoder that panics is known.
    #[test]
    fn whatever_is_changed_it_is_a_picture_or_none(
        format in format(),
        orientation in 0..10_u8,
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
        cut in any::<prop::sample::Index>(),
        noise in prop::collection::vec(any::<u8>(), 0..40),
    ) {
        let mut bytes = sample_with_metadata(format, orientation);
        for (place, byte) in changes {
            let place = place.index(bytes.len());
            bytes[place] = byte;
        }
        if let Ok(picture) = rewrite(&bytes) {
            prop_assert!(rewrite(&picture.bytes).is_ok());
        }
        let place = cut.index(bytes.len());
        bytes.splice(place..place, noise);
        if let Ok(picture) = rewrite(&bytes) {
            prop_assert!(rewrite(&picture.bytes).is_ok());
        }
    }
}
