//! The process that decodes one image: `doorward decode-image`, with the file on standard input. It
//! limits itself before it reads a byte, so that a hostile file can harm only this process.

use std::{
    io::{Read, Write},
    process::ExitCode,
};

use rlimit::Resource;

use crate::{decode::MAX_DATA_BYTES, error::PictureError, picture::Picture};

/// First argument of the program that runs [`run_decoder`].
pub const DECODER_COMMAND: &str = "decode-image";

/// Maximum size of a file.
pub const MAX_FILE_BYTES: usize = 10_000_000;
/// Maximum address space of a decoder. It also counts what takes no memory, such as unused parts of
/// the program.
const MAX_ADDRESS_SPACE_BYTES: u64 = 640 * 1024 * 1024;
/// Maximum CPU time of a decoder, and the maximum time that its caller waits for it.
pub(crate) const MAX_SECONDS: u64 = 20;

/// Exit code: the file is not an image, or decoding it reached a limit.
pub(crate) const NOT_AN_IMAGE: u8 = 3;
/// Exit code: the image has too many pixels.
pub(crate) const TOO_MANY_PIXELS: u8 = 4;
/// Exit code: the process could not limit itself, and read nothing.
pub(crate) const CANNOT_SET_LIMITS: u8 = 5;

/// Limits this process, decodes the image on standard input, writes the picture to serve to
/// standard output, and returns the exit code.
#[must_use]
pub fn run_decoder() -> ExitCode {
    if apply_limits().is_err() {
        return CANNOT_SET_LIMITS.into();
    }
    let mut file = Vec::with_capacity(MAX_FILE_BYTES + 1);
    let max_bytes = u64::try_from(MAX_FILE_BYTES).unwrap_or(u64::MAX);
    if std::io::stdin()
        .take(max_bytes + 1)
        .read_to_end(&mut file)
        .is_err()
        || file.len() > MAX_FILE_BYTES
    {
        return NOT_AN_IMAGE.into();
    }
    match Picture::decode(file) {
        Ok(picture) => {
            let mut stdout = std::io::stdout().lock();
            match stdout
                .write_all(&picture.bytes)
                .and_then(|()| stdout.flush())
            {
                Ok(()) => ExitCode::SUCCESS,
                Err(_) => ExitCode::FAILURE,
            }
        }
        Err(PictureError::TooManyPixels) => TOO_MANY_PIXELS.into(),
        Err(PictureError::NotAPicture | PictureError::Busy) => NOT_AN_IMAGE.into(),
    }
}

fn apply_limits() -> std::io::Result<()> {
    // The kernel kills this process first when memory runs out. The file only exists on Linux;
    // elsewhere the limits below must suffice.
    let _ = std::fs::write("/proc/self/oom_score_adj", "1000");
    for (resource, wanted) in [
        (Resource::DATA, MAX_DATA_BYTES),
        (Resource::AS, MAX_ADDRESS_SPACE_BYTES),
        (Resource::CPU, MAX_SECONDS),
        // No core dump. The limit is one byte and not zero, because one byte also stops dumps that
        // are piped to a program; see core(5).
        (Resource::CORE, 1),
        // No further threads, processes or files.
        (Resource::NPROC, 0),
        (Resource::NOFILE, 0),
    ] {
        let (_, hard) = resource.get()?;
        let limit = wanted.min(hard);
        resource.set(limit, limit)?;
    }
    Ok(())
}
