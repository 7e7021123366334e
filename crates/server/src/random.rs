//! Random bytes for secrets.

use anyhow::Context;
use aws_lc_rs::rand;

/// Returns 32 bytes from the random number generator of the system.
///
/// # Errors
/// The system has no random numbers.
pub(crate) fn random_bytes() -> anyhow::Result<[u8; 32]> {
    let mut bytes = [0; 32];
    rand::fill(&mut bytes)
        .ok()
        .context("the system has no random numbers")?;
    Ok(bytes)
}
