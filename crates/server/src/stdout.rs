//! Output of commands for other programs. All other messages go to stderr.

use std::io::{self, ErrorKind, Write};

use serde::Serialize;

/// Prints a text. A reader that has closed the pipe is not an error.
///
/// # Errors
/// Stdout cannot be written.
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

/// Prints one line of JSON.
///
/// # Errors
/// Stdout cannot be written.
pub(crate) fn print_json(value: &impl Serialize) -> io::Result<()> {
    print_text(&format!("{}\n", serde_json::to_string(value)?))
}
