//! The byte stream of a connection that becomes a WebSocket (RFC 6455), with the limits that the
//! libraries behind it lack: message size, idle time, and closing from elsewhere. It knows neither
//! Socket.IO nor the user.
//!
//! # Example
//!
//! The gateway's HTTP server has read 300 bytes of a connection: a `GET /sync/io?EIO=4&...` with 20
//! headers, and 12 bytes after it, which are the first frame of the client.
//!
//! 1. The server hands over the TCP stream, the parsed request and the 12 bytes. [`new`] receives a
//!    short head with only the WebSocket headers, and the 12 bytes as `rest`. The 12 bytes already
//!    count towards the limit of a message.
//! 2. hyper reads the stream as if it were a new connection: first the head and the 12 bytes from
//!    `initial_bytes`, then from the TCP stream. It answers 101, and the Socket.IO library then
//!    reads the frame.
//! 3. A read error ends the connection: [`TooLarge`] for a message over the limit, `TimedOut` if
//!    the client sends nothing for 45 s (it must answer the ping every 25 s), `ConnectionAborted`
//!    after [`CloseHandle`] was cancelled. The library itself only asks the client to close.
//!
//! [`new`]: UpgradedStream::new

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::{Buf, Bytes};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    sync::OwnedSemaphorePermit,
    time::{Instant, Sleep, sleep},
};
use tokio_util::sync::WaitForCancellationFutureOwned;

use crate::{
    close_handle::CloseHandle,
    frames::{Frames, TooLarge},
    limits::{MAX_MESSAGE_BYTES, PING_INTERVAL, PING_TIMEOUT},
};

/// A connection that was taken over from the HTTP server.
pub(crate) struct UpgradedStream<IO> {
    io: IO,
    /// The head of the request and the bytes that were read after it. They are read first.
    initial_bytes: Bytes,
    frames: Frames,
    /// Time by which the client must send something, which every client does in answer to a ping.
    /// It also ends a connection that is never upgraded and so receives no pings.
    idle_timeout: Pin<Box<Sleep>>,
    /// Ready when the close handle was cancelled.
    closed: Pin<Box<WaitForCancellationFutureOwned>>,
    /// Permit of the connection, held until it ends.
    _connection_permit: OwnedSemaphorePermit,
}

impl<IO> UpgradedStream<IO> {
    /// Returns a stream that starts with the head of a request and the bytes that were read after
    /// it.
    ///
    /// # Errors
    /// [`TooLarge`] if `rest` begins a message over the limit.
    pub(crate) fn new(
        io: IO,
        head: &[u8],
        rest: &[u8],
        close_handle: CloseHandle,
        permit: OwnedSemaphorePermit,
    ) -> Result<Self, TooLarge> {
        let mut frames = Frames::new(MAX_MESSAGE_BYTES);
        frames.push(rest)?;
        Ok(Self {
            io,
            initial_bytes: [head, rest].concat().into(),
            frames,
            idle_timeout: Box::pin(sleep(PING_INTERVAL + PING_TIMEOUT)),
            closed: Box::pin(close_handle.closed()),
            _connection_permit: permit,
        })
    }
}

impl<IO: AsyncRead + Unpin> AsyncRead for UpgradedStream<IO> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let stream = self.get_mut();
        if stream.initial_bytes.has_remaining() {
            let first = stream
                .initial_bytes
                .split_to(buffer.remaining().min(stream.initial_bytes.len()));
            buffer.put_slice(&first);
            return Poll::Ready(Ok(()));
        }
        // Checked at each read. The poll also registers the task, so a later cancellation wakes it.
        if stream.closed.as_mut().poll(context).is_ready() {
            return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
        }
        let before = buffer.filled().len();
        match Pin::new(&mut stream.io).poll_read(context, buffer) {
            Poll::Ready(Ok(())) => {
                let read = buffer.filled().get(before..).unwrap_or_default();
                stream
                    .idle_timeout
                    .as_mut()
                    .reset(Instant::now() + PING_INTERVAL + PING_TIMEOUT);
                Poll::Ready(stream.frames.push(read).map_err(io::Error::other))
            }
            Poll::Pending if stream.idle_timeout.as_mut().poll(context).is_ready() => {
                Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
            }
            other @ (Poll::Ready(Err(_)) | Poll::Pending) => other,
        }
    }
}

impl<IO: AsyncWrite + Unpin> AsyncWrite for UpgradedStream<IO> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }
}
