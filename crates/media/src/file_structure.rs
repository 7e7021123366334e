//! The structure of image files: dimensions, end and EXIF. It is checked before a decoder sees the
//! file, because decoders allocate what a header claims and make up pixels that are missing.

use crate::format::Format;

const PNG_SIGNATURE_BYTES: usize = 8;
/// Prefix of EXIF in JPEG, which some encoders also write in WebP.
const EXIF_PREFIX: &[u8] = b"Exif\0\0";

/// Finds the width and height in the header; for GIF and WebP those of the logical screen or
/// canvas.
pub(crate) fn find_dimensions(format: Format, bytes: &[u8]) -> Option<(u32, u32)> {
    let mut rest = ByteReader(bytes);
    match format {
        Format::Png => {
            // The signature, and length and type of `IHDR`.
            rest.read_bytes(PNG_SIGNATURE_BYTES + 8)?;
            Some((
                u32::from_be_bytes(rest.read_array()?),
                u32::from_be_bytes(rest.read_array()?),
            ))
        }
        Format::Jpeg => loop {
            let Segment { marker, data } = rest.read_segment()?;
            // SOF0 to SOF15, except the numbers of DHT, JPG and DAC.
            if matches!(marker, 0xc0..=0xcf) && !matches!(marker, 0xc4 | 0xc8 | 0xcc) {
                let mut frame = ByteReader(data);
                frame.read_byte()?;
                let height = u16::from_be_bytes(frame.read_array()?);
                let width = u16::from_be_bytes(frame.read_array()?);
                return Some((width.into(), height.into()));
            }
        },
        Format::Gif => {
            rest.read_bytes(6)?;
            Some((
                u16::from_le_bytes(rest.read_array()?).into(),
                u16::from_le_bytes(rest.read_array()?).into(),
            ))
        }
        Format::Webp => find_webp_dimensions(rest),
    }
}

/// Finds the length of the image in the file, or `None` if a part of it is missing. A GIF counts up
/// to the end of its first frame, because no more of it is used and often its trailer is missing.
pub(crate) fn find_length(format: Format, bytes: &[u8]) -> Option<usize> {
    let mut rest = ByteReader(bytes);
    match format {
        Format::Png => skip_png(&mut rest),
        Format::Jpeg => skip_jpeg(&mut rest),
        Format::Gif => skip_gif(&mut rest),
        Format::Webp => skip_webp(&mut rest),
    }?;
    Some(bytes.len() - rest.0.len())
}

/// Finds the EXIF of a PNG or WebP anywhere in the file. The PNG decoder does not find it after the
/// pixels.
pub(crate) fn find_exif(format: Format, bytes: &[u8]) -> Option<&[u8]> {
    let mut rest = ByteReader(bytes);
    let exif = match format {
        Format::Png => {
            rest.read_bytes(PNG_SIGNATURE_BYTES)?;
            loop {
                let chunk = rest.read_png_chunk()?;
                if &chunk.kind == b"eXIf" {
                    break chunk.data;
                }
            }
        }
        Format::Webp => {
            rest.read_bytes(12)?;
            loop {
                let chunk = rest.read_riff_chunk()?;
                if &chunk.kind == b"EXIF" {
                    break chunk.data;
                }
            }
        }
        Format::Jpeg | Format::Gif => return None,
    };
    Some(exif.strip_prefix(EXIF_PREFIX).unwrap_or(exif))
}

/// Reads chunks up to `IEND` (PNG specification, section 5).
fn skip_png(rest: &mut ByteReader<'_>) -> Option<()> {
    rest.read_bytes(PNG_SIGNATURE_BYTES)?;
    while &rest.read_png_chunk()?.kind != b"IEND" {}
    Some(())
}

/// Reads segments and scans up to the marker `EOI` (ITU-T T.81, annex B).
fn skip_jpeg(rest: &mut ByteReader<'_>) -> Option<()> {
    while rest.read_segment()?.marker != 0xd9 {}
    Some(())
}

/// Reads blocks up to the end of the first frame (`GIF89a`, appendix B).
fn skip_gif(rest: &mut ByteReader<'_>) -> Option<()> {
    rest.read_bytes(6)?;
    let [.., flags, _background, _ratio]: [u8; 7] = rest.read_array()?;
    rest.skip_color_table(flags)?;
    // 0x21 starts an extension, 0x2c a frame. Both end with sub-blocks, each with its length first.
    loop {
        let is_frame = match rest.read_byte()? {
            0x21 => {
                rest.read_byte()?;
                false
            }
            0x2c => {
                let [.., flags]: [u8; 9] = rest.read_array()?;
                rest.skip_color_table(flags)?;
                rest.read_byte()?;
                true
            }
            _ => return None,
        };
        loop {
            match rest.read_byte()? {
                0 => break,
                length => rest.read_bytes(usize::from(length))?,
            };
        }
        if is_frame {
            return Some(());
        }
    }
}

/// Reads as many bytes as the header states, and chunks that fit in them (RFC 9649, section 2).
fn skip_webp(rest: &mut ByteReader<'_>) -> Option<()> {
    rest.read_bytes(4)?;
    let length = u32::from_le_bytes(rest.read_array()?);
    let mut chunks = ByteReader(rest.read_bytes(usize::try_from(length).ok()?)?);
    chunks.read_bytes(4)?;
    while !chunks.0.is_empty() {
        chunks.read_riff_chunk()?;
    }
    Some(())
}

/// Reads the first chunk of a WebP (RFC 9649, sections 2.5 to 2.7; RFC 6386, section 9.1 for `VP8
/// `).
fn find_webp_dimensions(mut rest: ByteReader<'_>) -> Option<(u32, u32)> {
    rest.read_bytes(12)?;
    let kind: [u8; 4] = rest.read_array()?;
    rest.read_bytes(4)?;
    match &kind {
        b"VP8X" => {
            rest.read_bytes(4)?;
            let [w0, w1, w2, h0, h1, h2]: [u8; 6] = rest.read_array()?;
            Some((
                u32::from_le_bytes([w0, w1, w2, 0]) + 1,
                u32::from_le_bytes([h0, h1, h2, 0]) + 1,
            ))
        }
        b"VP8L" => {
            rest.read_byte()?;
            let bits = u32::from_le_bytes(rest.read_array()?);
            Some(((bits & 0x3fff) + 1, (bits >> 14 & 0x3fff) + 1))
        }
        b"VP8 " => {
            rest.read_bytes(6)?;
            let width = u16::from_le_bytes(rest.read_array()?);
            let height = u16::from_le_bytes(rest.read_array()?);
            Some((u32::from(width & 0x3fff), u32::from(height & 0x3fff)))
        }
        _ => None,
    }
}

/// A marker of a JPEG and its data, if it has any.
struct Segment<'a> {
    marker: u8,
    data: &'a [u8],
}

/// A chunk of a PNG or a WebP.
struct Chunk<'a> {
    kind: [u8; 4],
    data: &'a [u8],
}

/// Reader of the bytes that were not read yet. Reading beyond the end returns `None`.
struct ByteReader<'a>(&'a [u8]);

impl<'a> ByteReader<'a> {
    fn read_bytes(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    fn read_array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.read_bytes(N)?.try_into().ok()
    }

    fn read_byte(&mut self) -> Option<u8> {
        self.read_array().map(|[byte]: [u8; 1]| byte)
    }

    fn read_png_chunk(&mut self) -> Option<Chunk<'a>> {
        let length = u32::from_be_bytes(self.read_array()?);
        let kind = self.read_array()?;
        let data = self.read_bytes(usize::try_from(length).ok()?)?;
        let _checksum = self.read_bytes(4)?;
        Some(Chunk { kind, data })
    }

    /// Returns the next chunk, without the byte that pads an odd length.
    fn read_riff_chunk(&mut self) -> Option<Chunk<'a>> {
        let kind = self.read_array()?;
        let length = usize::try_from(u32::from_le_bytes(self.read_array()?)).ok()?;
        let data = self.read_bytes(length)?;
        if length % 2 == 1 && !self.0.is_empty() {
            self.read_byte()?;
        }
        Some(Chunk { kind, data })
    }

    fn read_segment(&mut self) -> Option<Segment<'a>> {
        let marker = self.read_marker()?;
        // TEM, RST0 to RST7, SOI and EOI have no data.
        if matches!(marker, 0x01 | 0xd0..=0xd9) {
            return Some(Segment { marker, data: &[] });
        }
        let length = u16::from_be_bytes(self.read_array()?);
        Some(Segment {
            marker,
            data: self.read_bytes(usize::from(length.checked_sub(2)?))?,
        })
    }

    /// Returns the next marker of a JPEG. Data of a scan before it is skipped; in such data, 0xff
    /// is followed by 0.
    fn read_marker(&mut self) -> Option<u8> {
        loop {
            let position = self.0.iter().position(|byte| *byte == 0xff)?;
            self.read_bytes(position + 1)?;
            match *self.0.first()? {
                0 => {}
                0xff => continue,
                marker => {
                    self.read_bytes(1)?;
                    return Some(marker);
                }
            }
        }
    }

    /// Skips the color table of a GIF if the flags announce one.
    fn skip_color_table(&mut self, flags: u8) -> Option<()> {
        let count = if flags & 0x80 == 0 {
            0
        } else {
            2_usize << (flags & 7)
        };
        self.read_bytes(3 * count).map(drop)
    }
}
