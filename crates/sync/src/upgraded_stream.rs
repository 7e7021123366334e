//! A connection that becomes a WebSocket, as the HTTP server hands it over: what was read of it already comes first.

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
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

use crate::{
    frames::{Frames, TooLarge},
    sockets::{PING_INTERVAL, PING_TIMEOUT},
};

/// Of a client, over either transport.
pub(crate) const MAX_MESSAGE_BYTES: u64 = 100_000;

pub(crate) struct UpgradedStream<IO> {
    io: IO,
    /// The head of the request, and what came with it.
    initial_bytes: Bytes,
    frames: Frames,
    /// Every client answers to pings. One that is being upgraded gets none: it must not take for ever.
    idle_timeout: Pin<Box<Sleep>>,
    /// Somebody else wants it to end.
    closed: Pin<Box<WaitForCancellationFutureOwned>>,
    _connection_permit: OwnedSemaphorePermit,
}

/// Ends a connection; in the extensions of the request with which it began.
#[derive(Clone, Default)]
pub(crate) struct CloseHandle(pub(crate) CancellationToken);

impl<IO> UpgradedStream<IO> {
    pub(crate) fn new(
        io: IO,
        (head, rest): (&[u8], &[u8]),
        hang_up: CloseHandle,
        place: OwnedSemaphorePermit,
    ) -> Result<Self, TooLarge> {
        let mut frames = Frames::new(MAX_MESSAGE_BYTES);
        frames.push(rest)?;
        Ok(Self {
            io,
            initial_bytes: [head, rest].concat().into(),
            frames,
            idle_timeout: Box::pin(sleep(PING_INTERVAL + PING_TIMEOUT)),
            closed: Box::pin(hang_up.0.cancelled_owned()),
            _connection_permit: place,
        })
    }
}

impl<IO: AsyncRead + Unpin> AsyncRead for UpgradedStream<IO> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let line = self.get_mut();
        if line.initial_bytes.has_remaining() {
            let first = line
                .initial_bytes
                .split_to(buffer.remaining().min(line.initial_bytes.len()));
            buffer.put_slice(&first);
            return Poll::Ready(Ok(()));
        }
        if line.closed.as_mut().poll(context).is_ready() {
            return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
        }
        let before = buffer.filled().len();
        match Pin::new(&mut line.io).poll_read(context, buffer) {
            Poll::Ready(Ok(())) => {
                let read = buffer.filled().get(before..).unwrap_or_default();
                line.idle_timeout
                    .as_mut()
                    .reset(Instant::now() + PING_INTERVAL + PING_TIMEOUT);
                Poll::Ready(line.frames.push(read).map_err(io::Error::other))
            }
            Poll::Pending if line.idle_timeout.as_mut().poll(context).is_ready() => {
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
