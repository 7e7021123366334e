//! Whether a file has its end. Decoders make up what is missing: half a JPEG is one with a grey half to them.

use crate::Format;

/// The picture up to its own end, without what follows; None when it isn't there as a whole.
pub(crate) fn picture(format: Format, bytes: &[u8]) -> Option<&[u8]> {
    let mut rest = Rest(bytes);
    match format {
        Format::Png => png(&mut rest),
        Format::Jpeg => jpeg(&mut rest),
        Format::Gif => gif(&mut rest),
        Format::Webp => webp(&mut rest),
    }?;
    bytes.get(..bytes.len() - rest.0.len())
}

/// Chunks up to `IEND` (PNG specification, section 5).
fn png(rest: &mut Rest<'_>) -> Option<()> {
    rest.take(8)?;
    loop {
        let length = u32::from_be_bytes(rest.array()?);
        let kind: [u8; 4] = rest.array()?;
        rest.take(usize::try_from(length).ok()?)?;
        rest.take(4)?;
        if &kind == b"IEND" {
            return Some(());
        }
    }
}

/// Segments and scans up to the marker `EOI` (ITU-T T.81, annex B).
fn jpeg(rest: &mut Rest<'_>) -> Option<()> {
    loop {
        match rest.marker()? {
            0xd9 => return Some(()),
            // They stand alone: TEM, RST0 to RST7, SOI.
            0x01 | 0xd0..=0xd8 => {}
            _ => {
                let length = u16::from_be_bytes(rest.array()?);
                rest.take(usize::from(length.checked_sub(2)?))?;
            }
        }
    }
}

/// Blocks up to the trailer (GIF89a, appendix B).
fn gif(rest: &mut Rest<'_>) -> Option<()> {
    rest.take(6)?;
    let [.., flags, _background, _ratio]: [u8; 7] = rest.array()?;
    rest.color_table(flags)?;
    loop {
        match rest.byte()? {
            0x21 => {
                rest.byte()?;
            }
            0x2c => {
                let [.., flags]: [u8; 9] = rest.array()?;
                rest.color_table(flags)?;
                rest.byte()?;
            }
            0x3b => return Some(()),
            _ => return None,
        }
        loop {
            match rest.byte()? {
                0 => break,
                length => rest.take(usize::from(length))?,
            };
        }
    }
}

/// As many bytes as the head says, and chunks that fit in them (RFC 9649, section 2).
fn webp(rest: &mut Rest<'_>) -> Option<()> {
    rest.take(4)?;
    let length = u32::from_le_bytes(rest.array()?);
    let mut chunks = Rest(rest.take(usize::try_from(length).ok()?)?);
    chunks.take(4)?;
    while !chunks.0.is_empty() {
        chunks.take(4)?;
        let length = usize::try_from(u32::from_le_bytes(chunks.array()?)).ok()?;
        chunks.take(length)?;
        if length % 2 == 1 && !chunks.0.is_empty() {
            chunks.byte()?;
        }
    }
    Some(())
}

/// What is not read yet.
struct Rest<'a>(&'a [u8]);

impl<'a> Rest<'a> {
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

    /// The next marker of a JPEG. What is before it, the data of a scan, is passed: there 0xff is followed by 0.
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

    /// The colors of a GIF, if these flags say that there are any.
    fn color_table(&mut self, flags: u8) -> Option<()> {
        let count = if flags & 0x80 == 0 { 0 } else { 2_usize << (flags & 7) };
        self.take(3 * count).map(drop)
    }
}
