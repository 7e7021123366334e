//! The process that decodes one image: `doorward decode-image`, with the file on standard input. It limits itself before it
//! reads a byte, so that the harm a hostile file can do ends with this process.

use std::{
    io::{Read, Write},
    process::ExitCode,
};

use rlimit::Resource;

use crate::{Picture, PictureError};

/// First argument of the program that runs [`run_decoder`].
pub const DECODER_COMMAND: &str = "decode-image";

/// Maximum size of a file.
pub const MAX_FILE_BYTES: usize = 10_000_000;
/// Memory of a decoder. With the program itself, its stack and its buffers it stays below 512 MiB.
pub(crate) const MAX_DATA_BYTES: u64 = 480 * 1024 * 1024;
/// The same with what takes no memory, such as the parts of the program that are not used.
const MAX_ADDRESS_SPACE_BYTES: u64 = 640 * 1024 * 1024;
/// CPU time of a decoder, and the time that it is waited for.
pub(crate) const MAX_SECONDS: u64 = 20;

/// How a decoder ended that was not killed. Without an image the code says why.
pub(crate) const NOT_AN_IMAGE: u8 = 3;
pub(crate) const TOO_MANY_PIXELS: u8 = 4;
pub(crate) const CANNOT_SET_LIMITS: u8 = 5;

/// Limits this process, decodes the image on standard input, writes the image to serve to standard output, and returns
/// the exit code.
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
    // The first to be killed when memory runs out. Where there is no such file, the limits below have to do.
    let _ = std::fs::write("/proc/self/oom_score_adj", "1000");
    for (resource, wanted) in [
        (Resource::DATA, MAX_DATA_BYTES),
        (Resource::AS, MAX_ADDRESS_SPACE_BYTES),
        (Resource::CPU, MAX_SECONDS),
        // No dump of the memory. One byte and not zero: that also counts where dumps go to a program (core(5)).
        (Resource::CORE, 1),
        // No threads and processes, no files but those that are open.
        (Resource::NPROC, 0),
        (Resource::NOFILE, 0),
    ] {
        let (_, hard) = resource.get()?;
        let limit = wanted.min(hard);
        resource.set(limit, limit)?;
    }
    Ok(())
}
