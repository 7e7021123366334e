//! What other programs read. Everything else goes to stderr.

use std::io::{self, ErrorKind, Write};

use serde::Serialize;

/// # Errors
/// When stdout can't be written. That its reader has seen enough is no error.
pub(crate) fn print_text(text: &str) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    match stdout
        .write_all(text.as_bytes())
        .and_then(|()| stdout.flush())
    {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        written => written,
    }
}

/// One line of JSON.
///
/// # Errors
/// When stdout can't be written.
pub(crate) fn print_json(value: &impl Serialize) -> io::Result<()> {
    print_text(&format!("{}\n", serde_json::to_string(value)?))
}
