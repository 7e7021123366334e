//! Builds image files byte by byte: large images whose pixels cost nothing to encode, and hostile
//! images that are small but expensive to decode.

/// A bit writer for VP8L: the lowest bit of a byte is first.
struct Bits {
    bytes: Vec<u8>,
    count: usize,
}

impl Bits {
    fn put(&mut self, value: u32, count: u32) {
        for bit in 0..count {
            if self.count.is_multiple_of(8) {
                self.bytes.push(0);
            }
            if value >> bit & 1 == 1 {
                *self.bytes.last_mut().expect("a byte") |= 1 << (self.count % 8);
            }
            self.count += 1;
        }
    }

    /// Appends a prefix code, whose highest bit is first.
    fn put_code(&mut self, code: u32, length: u32) {
        self.put(code.reverse_bits() >> (32 - length), length);
    }

    /// Appends a code table with one symbol, whose code has no bits.
    fn put_single(&mut self, symbol: u32) {
        self.put(0b101, 3);
        self.put(symbol, 8);
    }

    /// Appends a code table with the lengths 1, 2, ... 9, 10, 10, which a decoder expands to 1024
    /// entries.
    fn put_long_code(&mut self) {
        // Lengths of the codes for code lengths, in the order
        // 17, 18, 0, 1, 2, 3, 4, 5, 16, 6, 7, 8, 9, 10.
        self.put(0, 1);
        self.put(14 - 4, 4);
        for length in [0, 0, 0, 3, 3, 3, 3, 3, 0, 3, 4, 4, 4, 4] {
            self.put(length, 3);
        }
        // The table has eleven symbols.
        self.put(1, 1);
        self.put(1, 3);
        self.put(11 - 2, 4);
        for length in [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 10] {
            if length <= 6 {
                self.put_code(length - 1, 3);
            } else {
                self.put_code(length + 5, 4);
            }
        }
    }
}

/// Returns a WebP of 4 × 4 pixels and 3.8 MB with 65,536 groups of five prefix codes, for which a
/// decoder allocates 1.3 GB.
#[must_use]
pub fn webp_with_many_codes() -> Vec<u8> {
    let mut bits = Bits {
        bytes: vec![0x2f],
        count: 8,
    };
    bits.put(4 - 1, 14);
    bits.put(4 - 1, 14);
    // No alpha, version 0, no transform, no color cache. Blocks of 4 × 4 pixels have their own
    // groups of codes, which an entropy image selects.
    bits.put(0, 1 + 3 + 1 + 1);
    bits.put(1, 1);
    bits.put(0, 3);
    // The entropy image has one pixel and no color cache. It selects group 0xffff.
    bits.put(0, 1);
    for symbol in [255, 255, 0, 0, 0] {
        bits.put_single(symbol);
    }
    for _ in 0..5 * 65_536 {
        bits.put_long_code();
    }
    bits.bytes.extend([0; 32]);
    riff(&[(b"VP8L", &bits.bytes)])
}

/// Returns a WebP file with these chunks.
#[must_use]
pub fn riff(chunks: &[(&[u8; 4], &[u8])]) -> Vec<u8> {
    let mut body = b"WEBP".to_vec();
    for (kind, data) in chunks {
        body.extend_from_slice(*kind);
        body.extend(u32::try_from(data.len()).expect("a length").to_le_bytes());
        body.extend_from_slice(data);
        body.extend(vec![0; data.len() % 2]);
    }
    [
        b"RIFF".as_slice(),
        &u32::try_from(body.len()).expect("a length").to_le_bytes(),
        &body,
    ]
    .concat()
}

/// Returns a lossless WebP with pixels of one color, and an alpha of 128 if it has an alpha
/// channel. The pixels take no bits.
#[must_use]
pub fn webp(width: u32, height: u32, has_alpha: bool) -> Vec<u8> {
    let mut bits = Bits {
        bytes: vec![0x2f],
        count: 8,
    };
    bits.put(width - 1, 14);
    bits.put(height - 1, 14);
    bits.put(has_alpha.into(), 1);
    // Version 0, no transform, no color cache, one group of codes.
    bits.put(0, 3 + 1 + 1 + 1);
    for symbol in [90, 200, 30, if has_alpha { 128 } else { 255 }, 0] {
        bits.put_single(symbol);
    }
    riff(&[(b"VP8L", &bits.bytes)])
}

/// How the pixels of a JPEG are arranged.
#[derive(Debug, Clone, Copy)]
pub struct JpegShape {
    pub width: u16,
    pub height: u16,
    /// Horizontal and vertical sampling factors of each component, in the two halves of a byte.
    pub sampling: &'static [u8],
    pub is_progressive: bool,
    /// EXIF orientation, 1 to 8.
    pub orientation: u8,
}

/// Returns a gray JPEG of this shape. The code of each block is a zero bit for its mean and, if the
/// image is not progressive, a zero bit for the rest.
#[must_use]
pub fn jpeg(shape: &JpegShape) -> Vec<u8> {
    let JpegShape {
        width,
        height,
        sampling,
        is_progressive,
        orientation,
    } = *shape;
    let count = u8::try_from(sampling.len()).expect("few components");
    let mut bytes =
        b"\xff\xd8\xff\xe1\0\x22Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0".to_vec();
    bytes.extend([orientation, 0, 0, 0, 0, 0, 0]);
    bytes.extend([0xff, 0xdb, 0, 67, 0]);
    bytes.extend([1; 64]);
    bytes.extend([
        0xff,
        if is_progressive { 0xc2 } else { 0xc0 },
        0,
        8 + 3 * count,
        8,
    ]);
    bytes.extend([height.to_be_bytes(), width.to_be_bytes()].concat());
    bytes.push(count);
    bytes.extend(
        (1..=count)
            .zip(sampling)
            .flat_map(|(id, factors)| [id, *factors, 0]),
    );
    // Each table has one code of one bit. In the first table it means "no difference", in the
    // second the end of a block, or of at least 16,384 blocks if the image is progressive.
    for (table, symbol) in [
        (0x00, 0x00),
        (0x10, if is_progressive { 0xe0 } else { 0x00 }),
    ] {
        bytes.extend([0xff, 0xc4, 0, 20, table, 1]);
        bytes.extend([0; 15]);
        bytes.push(symbol);
    }
    bytes.extend([0xff, 0xda, 0, 6 + 2 * count, count]);
    bytes.extend((1..=count).flat_map(|id| [id, 0]));
    bytes.extend([0, if is_progressive { 0 } else { 63 }, 0]);
    let max = |factor: fn(&u8) -> u8| {
        usize::from(sampling.iter().map(factor).max().expect("a component"))
    };
    let across = max(|factors| factors >> 4);
    let down = max(|factors| factors & 15);
    let units = usize::from(width).div_ceil(8 * across) * usize::from(height).div_ceil(8 * down);
    let blocks: usize = sampling
        .iter()
        .map(|factors| usize::from(factors >> 4) * usize::from(factors & 15))
        .sum();
    let bits = units * blocks * if is_progressive { 1 } else { 2 };
    bytes.extend(vec![0; bits.div_ceil(8)]);
    bytes.extend([0xff, 0xd9]);
    bytes
}

/// Returns a progressive JPEG of 49,999,041 gray pixels with 99,000 scans of a hundred bytes, each
/// of which makes a decoder visit all pixels.
#[must_use]
pub fn jpeg_with_many_scans() -> Vec<u8> {
    let shape = JpegShape {
        width: 7071,
        height: 7071,
        sampling: &[0x11],
        is_progressive: true,
        orientation: 1,
    };
    let mut bytes = jpeg(&shape);
    bytes.truncate(bytes.len() - 2);
    let blocks = usize::from(shape.width.div_ceil(8)) * usize::from(shape.height.div_ceil(8));
    let mut scan = vec![0xff, 0xda, 0, 8, 1, 1, 0, 1, 63, 0];
    scan.extend(vec![0; (blocks.div_ceil(16_384) * 15).div_ceil(8)]);
    while bytes.len() + scan.len() < 9_999_000 {
        bytes.extend_from_slice(&scan);
    }
    bytes.extend([0xff, 0xd9]);
    bytes
}

/// Returns a PNG with these chunks between `IHDR` and `IEND`. Its header declares this size and
/// 8 bits per channel with alpha.
#[must_use]
pub fn png(width: u32, height: u32, chunks: &[(&[u8; 4], &[u8])]) -> Vec<u8> {
    let head = [
        &width.to_be_bytes()[..],
        &height.to_be_bytes(),
        &[8, 6, 0, 0, 0],
    ]
    .concat();
    let mut bytes = b"\x89PNG\r\n\x1a\n".to_vec();
    for (kind, data) in [&[(b"IHDR", head.as_slice())], chunks, &[(b"IEND", &[])]].concat() {
        bytes.extend(u32::try_from(data.len()).expect("a length").to_be_bytes());
        let body = [kind.as_slice(), data].concat();
        let checksum = crc32(&body);
        bytes.extend(body);
        bytes.extend(checksum.to_be_bytes());
    }
    bytes
}

fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
            if crc & 1 == 1 {
                crc >> 1 ^ 0xedb8_8320
            } else {
                crc >> 1
            }
        })
    })
}

/// Returns a GIF of one pixel with a frame of this size and this compressed data.
#[must_use]
pub fn gif(width: u16, height: u16, data: &[u8]) -> Vec<u8> {
    let mut bytes = b"GIF89a\x01\0\x01\0\x80\0\0\0\0\0\xff\xff\xff".to_vec();
    bytes.extend(b"\x2c\0\0\0\0");
    bytes.extend([width.to_le_bytes(), height.to_le_bytes()].concat());
    bytes.extend([0, 2]);
    for block in data.chunks(255) {
        bytes.push(u8::try_from(block.len()).expect("a length"));
        bytes.extend_from_slice(block);
    }
    bytes.extend([0, 0x3b]);
    bytes
}
