//! Measures the messages of a client in the bytes of a WebSocket (RFC 6455, section 5.2). The
//! WebSocket library reads messages of up to 64 MiB into memory and has no setting for less, so the
//! limit must be enforced before it sees the bytes. This module does not read payloads.

/// Incremental parser of frame headers. It reads headers byte by byte and skips payloads, so chunks
/// may end anywhere.
pub(crate) struct Frames {
    stage: Stage,
    is_masked: bool,
    is_final: bool,
    /// Sum of the payloads of the current message, which can have several frames.
    message_bytes: u64,
    max_bytes: u64,
}

/// The next part of a frame.
enum Stage {
    /// The first byte: the flag FIN and the opcode.
    Flags,
    /// The second byte: the flag MASK and the length, or 126 or 127 for an extended one.
    Length,
    /// The extended length, of 2 or 8 bytes.
    Extended { bytes_left: u8, length: u64 },
    /// The mask and the payload.
    Skip { bytes_left: u64 },
}

#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("a message is too large")]
pub(crate) struct TooLarge;

const FINAL: u8 = 0x80;
const MASKED: u8 = 0x80;
const MASK_BYTES: u64 = 4;

impl Frames {
    pub(crate) const fn new(max_bytes: u64) -> Self {
        Self {
            stage: Stage::Flags,
            is_masked: false,
            is_final: false,
            message_bytes: 0,
            max_bytes,
        }
    }

    /// Parses the next bytes of the stream.
    pub(crate) fn push(&mut self, mut bytes: &[u8]) -> Result<(), TooLarge> {
        while let Some((&first, rest)) = bytes.split_first() {
            bytes = rest;
            match self.stage {
                Stage::Flags => {
                    self.is_final = first & FINAL != 0;
                    self.stage = Stage::Length;
                }
                Stage::Length => {
                    self.is_masked = first & MASKED != 0;
                    match first & !MASKED {
                        126 => {
                            self.stage = Stage::Extended {
                                bytes_left: 2,
                                length: 0,
                            }
                        }
                        127 => {
                            self.stage = Stage::Extended {
                                bytes_left: 8,
                                length: 0,
                            }
                        }
                        length => self.start_frame(length.into())?,
                    }
                }
                Stage::Extended { bytes_left, length } => {
                    let length = (length << 8) | u64::from(first);
                    match bytes_left {
                        0 | 1 => self.start_frame(length)?,
                        _ => {
                            self.stage = Stage::Extended {
                                bytes_left: bytes_left - 1,
                                length,
                            }
                        }
                    }
                }
                Stage::Skip { bytes_left } => {
                    let skipped = bytes_left.min(rest.len() as u64 + 1);
                    bytes = rest
                        .get(usize::try_from(skipped - 1).map_err(|_| TooLarge)?..)
                        .unwrap_or_default();
                    self.skip_payload(bytes_left - skipped);
                }
            }
        }
        Ok(())
    }

    /// Adds the length of a frame to its message, before any byte of its payload is read.
    fn start_frame(&mut self, length: u64) -> Result<(), TooLarge> {
        self.message_bytes = self.message_bytes.saturating_add(length);
        if self.message_bytes > self.max_bytes {
            return Err(TooLarge);
        }
        if self.is_final {
            self.message_bytes = 0;
        }
        // Cannot overflow: the length is within the limit.
        self.skip_payload(length + if self.is_masked { MASK_BYTES } else { 0 });
        Ok(())
    }

    const fn skip_payload(&mut self, bytes_left: u64) {
        self.stage = if bytes_left == 0 {
            Stage::Flags
        } else {
            Stage::Skip { bytes_left }
        };
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn frame(is_final: bool, length: usize) -> Vec<u8> {
        let mut frame = vec![if is_final { 0x81 } else { 0x01 }];
        match length {
            0..126 => frame.push(0x80 | length as u8),
            126..0x1_0000 => frame.extend([&[0xfe][..], &(length as u16).to_be_bytes()].concat()),
            _ => frame.extend([&[0xff][..], &(length as u64).to_be_bytes()].concat()),
        }
        frame.extend(std::iter::repeat_n(0xff, 4 + length));
        frame
    }

    proptest! {
        #[test]
        fn message_size_is_the_sum_of_its_frames(
            lengths in prop::collection::vec((any::<bool>(), 0..70_000usize), 0..6), cut in 1..5000usize
        ) {
            let mut longest = 0;
            let mut message = 0;
            for (is_final, length) in &lengths {
                message += length;
                longest = longest.max(message);
                if *is_final {
                    message = 0;
                }
            }
            let bytes: Vec<u8> = lengths.iter().flat_map(|(is_final, length)| frame(*is_final, *length)).collect();
            let check = |max_bytes: usize| {
                let mut frames = Frames::new(max_bytes as u64);
                bytes.chunks(cut).try_for_each(|chunk| frames.push(chunk))
            };
            prop_assert_eq!(check(longest), Ok(()));
            if longest > 0 {
                prop_assert_eq!(check(longest - 1), Err(TooLarge));
            }
        }
    }

    #[test]
    fn maximum_length_is_rejected() {
        let mut frames = Frames::new(100);
        assert_eq!(
            frames.push(&[0x81, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]),
            Err(TooLarge)
        );
    }
}
