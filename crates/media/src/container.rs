//! The structure of files: their size in pixels, their end, their EXIF. Looked at before any decoder sees the file, because
//! decoders allocate for what a header claims and invent pixels that are missing.

use crate::Format;

const PNG_SIGNATURE_BYTES: usize = 8;
/// Prefix that some encoders put before the EXIF of a WebP, as JPEG requires it.
const EXIF_PREFIX: &[u8] = b"Exif\0\0";

/// Returns width and height as the header states them, of the logical screen or canvas for GIF and WebP.
pub(crate) fn dimensions(format: Format, bytes: &[u8]) -> Option<(u32, u32)> {
    let mut rest = ByteReader(bytes);
    match format {
        Format::Png => {
            // The signature, and length and type of `IHDR`.
            rest.take(PNG_SIGNATURE_BYTES + 8)?;
            Some((u32::from_be_bytes(rest.array()?), u32::from_be_bytes(rest.array()?)))
        }
        Format::Jpeg => loop {
            let Segment { marker, data } = rest.segment()?;
            // SOF0 to SOF15; DHT, JPG and DAC are among their numbers.
            if matches!(marker, 0xc0..=0xcf) && !matches!(marker, 0xc4 | 0xc8 | 0xcc) {
                let mut frame = ByteReader(data);
                frame.byte()?;
                let (height, width) = (u16::from_be_bytes(frame.array()?), u16::from_be_bytes(frame.array()?));
                return Some((width.into(), height.into()));
            }
        },
        Format::Gif => {
            rest.take(6)?;
            Some((u16::from_le_bytes(rest.array()?).into(), u16::from_le_bytes(rest.array()?).into()))
        }
        Format::Webp => webp_dimensions(rest),
    }
}

/// Returns the length of the file up to its own end, or `None` if a part of it is missing. A GIF ends with its first frame:
/// no more of it is used, and often its trailer is missing.
pub(crate) fn length(format: Format, bytes: &[u8]) -> Option<usize> {
    let mut rest = ByteReader(bytes);
    match format {
        Format::Png => png(&mut rest),
        Format::Jpeg => jpeg(&mut rest),
        Format::Gif => gif(&mut rest),
        Format::Webp => webp(&mut rest),
    }?;
    Some(bytes.len() - rest.0.len())
}

/// Returns the EXIF of a PNG or WebP, wherever it is in the file; the decoder of PNG misses it behind the pixels.
pub(crate) fn exif(format: Format, bytes: &[u8]) -> Option<&[u8]> {
    let mut rest = ByteReader(bytes);
    let exif = match format {
        Format::Png => {
            rest.take(PNG_SIGNATURE_BYTES)?;
            loop {
                let chunk = rest.png_chunk()?;
                if &chunk.kind == b"eXIf" {
                    break chunk.data;
                }
            }
        }
        Format::Webp => {
            rest.take(12)?;
            loop {
                let chunk = rest.riff_chunk()?;
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
fn png(rest: &mut ByteReader<'_>) -> Option<()> {
    rest.take(PNG_SIGNATURE_BYTES)?;
    while &rest.png_chunk()?.kind != b"IEND" {}
    Some(())
}

/// Reads segments and scans up to the marker `EOI` (ITU-T T.81, annex B).
fn jpeg(rest: &mut ByteReader<'_>) -> Option<()> {
    while rest.segment()?.marker != 0xd9 {}
    Some(())
}

/// Reads blocks up to the end of the first frame (GIF89a, appendix B).
fn gif(rest: &mut ByteReader<'_>) -> Option<()> {
    rest.take(6)?;
    let [.., flags, _background, _ratio]: [u8; 7] = rest.array()?;
    rest.color_table(flags)?;
    loop {
        let is_frame = match rest.byte()? {
            0x21 => {
                rest.byte()?;
                false
            }
            0x2c => {
                let [.., flags]: [u8; 9] = rest.array()?;
                rest.color_table(flags)?;
                rest.byte()?;
                true
            }
            _ => return None,
        };
        loop {
            match rest.byte()? {
                0 => break,
                length => rest.take(usize::from(length))?,
            };
        }
        if is_frame {
            return Some(());
        }
    }
}

/// Reads as many bytes as the header states, and chunks that fit in them (RFC 9649, section 2).
fn webp(rest: &mut ByteReader<'_>) -> Option<()> {
    rest.take(4)?;
    let length = u32::from_le_bytes(rest.array()?);
    let mut chunks = ByteReader(rest.take(usize::try_from(length).ok()?)?);
    chunks.take(4)?;
    while !chunks.0.is_empty() {
        chunks.riff_chunk()?;
    }
    Some(())
}

/// Reads the first chunk of a WebP (RFC 9649, sections 2.5 to 2.7; RFC 6386, section 9.1 for `VP8 `).
fn webp_dimensions(mut rest: ByteReader<'_>) -> Option<(u32, u32)> {
    rest.take(12)?;
    let kind: [u8; 4] = rest.array()?;
    rest.take(4)?;
    match &kind {
        b"VP8X" => {
            rest.take(4)?;
            let [w0, w1, w2, h0, h1, h2]: [u8; 6] = rest.array()?;
            Some((u32::from_le_bytes([w0, w1, w2, 0]) + 1, u32::from_le_bytes([h0, h1, h2, 0]) + 1))
        }
        b"VP8L" => {
            rest.byte()?;
            let bits = u32::from_le_bytes(rest.array()?);
            Some(((bits & 0x3fff) + 1, (bits >> 14 & 0x3fff) + 1))
        }
        b"VP8 " => {
            rest.take(6)?;
            let (width, height) = (u16::from_le_bytes(rest.array()?), u16::from_le_bytes(rest.array()?));
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

/// The bytes that are not read yet.
struct ByteReader<'a>(&'a [u8]);

impl<'a> ByteReader<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    fn byte(&mut self) -> Option<u8> {
        self.array().map(|[byte]: [u8; 1]| byte)
    }

    fn png_chunk(&mut self) -> Option<Chunk<'a>> {
        let length = u32::from_be_bytes(self.array()?);
        let kind = self.array()?;
        let data = self.take(usize::try_from(length).ok()?)?;
        let _checksum = self.take(4)?;
        Some(Chunk { kind, data })
    }

    /// Returns the next chunk, without the byte that pads an odd length.
    fn riff_chunk(&mut self) -> Option<Chunk<'a>> {
        let kind = self.array()?;
        let length = usize::try_from(u32::from_le_bytes(self.array()?)).ok()?;
        let data = self.take(length)?;
        if length % 2 == 1 && !self.0.is_empty() {
            self.byte()?;
        }
        Some(Chunk { kind, data })
    }

    fn segment(&mut self) -> Option<Segment<'a>> {
        let marker = self.marker()?;
        // TEM, RST0 to RST7, SOI and EOI have no data.
        if matches!(marker, 0x01 | 0xd0..=0xd9) {
            return Some(Segment { marker, data: &[] });
        }
        let length = u16::from_be_bytes(self.array()?);
        Some(Segment { marker, data: self.take(usize::from(length.checked_sub(2)?))? })
    }

    /// Returns the next marker of a JPEG. The data of a scan before it is skipped: there 0xff is followed by 0.
    fn marker(&mut self) -> Option<u8> {
        loop {
            let position = self.0.iter().position(|byte| *byte == 0xff)?;
            self.take(position + 1)?;
            match *self.0.first()? {
                0 => {}
                0xff => continue,
                marker => {
                    self.take(1)?;
                    return Some(marker);
                }
            }
        }
    }

    /// Skips the colors of a GIF, if these flags announce any.
    fn color_table(&mut self, flags: u8) -> Option<()> {
        let count = if flags & 0x80 == 0 { 0 } else { 2_usize << (flags & 7) };
        self.take(3 * count).map(drop)
    }
}
