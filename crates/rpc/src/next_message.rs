//! Reads a stream of a server, with a time limit for each message. The server must send heartbeats,
//! because silence alone does not show whether a connection is lost. It neither opens a
//! stream nor reconnects.

use std::time::Duration;

use tonic::{Status, Streaming};

/// Why the next message of a stream could not be read.
#[derive(Debug)]
pub enum NextMessageError {
    /// No message arrived within the timeout.
    Timeout,
    /// The server ended the stream with an error, or the connection was lost.
    Status(Status),
}

/// Waits for the next message of a stream. Returns `None` if the server has ended the stream.
///
/// # Errors
/// See [`NextMessageError`]. The stream must not be read after an error.
pub async fn next_message<M>(
    stream: &mut Streaming<M>,
    timeout: Duration,
) -> Result<Option<M>, NextMessageError> {
    // A function that reads the whole stream and takes a handler is not possible: with rustc 1.95,
    // the future of an async closure that borrows is not `Send` for all lifetimes, so no task could
    // run it.
    tokio::time::timeout(timeout, stream.message())
        .await
        .map_err(|_| NextMessageError::Timeout)?
        .map_err(NextMessageError::Status)
}

#[cfg(test)]
#[path = "next_message_tests.rs"]
mod tests;
