//! Fuzzes the decoders of images and the encoding of the result. Files that claim many pixels are
//! skipped: decoding them takes seconds, which only the limits of the decoding process can bound.

#![no_main]

use std::io::Cursor;

use doorward_media::{Format, Picture};
use image::ImageReader;
use libfuzzer_sys::fuzz_target;

const MAX_PIXELS: u64 = 1_000_000;
const MAX_SIDE: u32 = 1024;
const MAX_BYTES: usize = 512 * 1024;

fuzz_target!(|input: &[u8]| {
    if size(input).is_some_and(|(width, height)| u64::from(width) * u64::from(height) > MAX_PIXELS)
    {
        return;
    }
    if let Ok(picture) = Picture::decode(input.to_vec()) {
        assert!(picture.bytes.len() <= MAX_BYTES);
        assert_eq!(Format::of(&picture.bytes), Some(picture.format));
        let (width, height) = size(&picture.bytes).expect("the result must be an image");
        assert!(width <= MAX_SIDE && height <= MAX_SIDE);
        Picture::decode(picture.bytes).expect("the result must be decodable again");
    }
});

fn size(file: &[u8]) -> Option<(u32, u32)> {
    ImageReader::new(Cursor::new(file))
        .with_guessed_format()
        .ok()?
        .into_dimensions()
        .ok()
}
