//! A client's connection below the HTTP server. It checks each request head before the server
//! parses it, for two reasons:
//!
//! - A line of a head must end with CR LF. The parser of the server also accepts a bare LF, as some
//!   proxies do and others do not. If a proxy and the server disagree, an attacker can make them
//!   see different requests (request smuggling). A bare LF is overwritten with NUL, which no parser
//!   accepts, so that the server answers 400 and closes.
//! - The server gives up a connection to any request that asks for an upgrade. Only a WebSocket
//!   handshake for sockets is allowed to take it; in every other head the request for an upgrade is
//!   overwritten with spaces, which leaves an ordinary request (RFC 9110, section 7.8).
//!
//! To find the next head, it skips bodies by the same rules as the server (RFC 9112, section 6).
//! After a request that the server rejects, it parses no further head, because the server closes
//! the connection ([`State::Raw`]).
//!
//! # Example
//!
//! A client sends these bytes, in pieces of any size. `|` marks the end of a line, CR LF.
//!
//! ```text
//! POST /a HTTP/1.1|Connection: Upgrade|Upgrade: h2c|Content-Length: 2||{}GET /sync/io/?EIO=4&...
//! ```
//!
//! 1. `Head`: nothing is passed on until the empty line has arrived. The head asks for an upgrade
//!    to `h2c`, which is not a WebSocket for sockets. `Upgrade` after `Connection:` and `h2c` after
//!    `Upgrade:` become spaces, and the head is passed on with its old length.
//! 2. `Data { left: 2 }`: `{}` is passed on unchanged; a bare LF in a body is allowed.
//! 3. `Head` again. If `GET /sync/io/...` is a complete WebSocket handshake, its head is passed on
//!    unchanged, and everything after it too (`Raw`): these are frames. If a line of it ends with a
//!    bare LF, the LF becomes NUL, the rest is passed on (`Raw`), and the server answers 400.

mod head;
mod state;

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use actix_web::web::BytesMut;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use self::state::{NEXT_HEAD, State};

/// Maximum length of a head. The server rejects longer ones.
const MAX_HEAD_BYTES: usize = 128 * 1024;
/// Maximum length of a line between the chunks of a body, or after them.
const MAX_LINE_BYTES: usize = 4096;
/// Maximum number of bytes of one read.
const READ_BYTES: usize = 8 * 1024;

/// Stream whose request heads are checked when it is read.
pub(crate) struct Connection<IO> {
    io: IO,
    /// Bytes that were read and not yet passed on to the server.
    buffer: BytesMut,
    /// Number of bytes at the front of the buffer that can be passed on.
    checked: usize,
    state: State,
    /// Whether the client has closed its side.
    has_ended: bool,
}

/// Result of a check of the available bytes.
enum Advance {
    /// More bytes are needed.
    Wait(State),
    /// This number of bytes can be passed on.
    Pass(usize, State),
}

impl State {
    /// Checks the available bytes, which are not empty, and overwrites what must not take effect.
    fn advance(self, bytes: &mut [u8]) -> io::Result<Advance> {
        Ok(match self {
            Self::Head { seen, line } => step_in_head(seen, line, bytes),
            Self::Data { left, is_chunk } => {
                let passed = usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len());
                let next = match left - passed as u64 {
                    0 if is_chunk => Self::ChunkSize,
                    0 => NEXT_HEAD,
                    left => Self::Data { left, is_chunk },
                };
                Advance::Pass(passed, next)
            }
            Self::ChunkSize => match find_first_line(bytes)? {
                Some(line) => Advance::Pass(line.len(), state_after_chunk_size(line)),
                None => Advance::Wait(self),
            },
            Self::Trailer => match find_first_line(bytes)? {
                Some(b"\r\n") => Advance::Pass(2, NEXT_HEAD),
                Some(line) if line.ends_with(b"\r\n") => Advance::Pass(line.len(), self),
                // The server already handles the request of this body and cannot answer 400 any
                // more, so the connection is closed.
                Some(_) => {
                    return Err(io::Error::new(
                        io::ErrorKind::InvalidData,
                        "bare LF in a trailer",
                    ));
                }
                None => Advance::Wait(self),
            },
            Self::Raw => Advance::Pass(bytes.len(), self),
        })
    }
}

/// Checks the lines of a head that have arrived. Positions are kept in the state, so that a head
/// that arrives byte by byte is not scanned from its start each time.
fn step_in_head(mut seen: usize, mut line: usize, bytes: &mut [u8]) -> Advance {
    while let Some(offset) = bytes
        .get(seen..)
        .and_then(|rest| rest.iter().position(|byte| *byte == b'\n'))
    {
        let end = seen + offset;
        let before = end.checked_sub(1).and_then(|index| bytes.get(index));
        if before != Some(&b'\r') {
            if let Some(byte) = bytes.get_mut(end) {
                *byte = 0;
            }
            return Advance::Pass(bytes.len(), State::Raw);
        }
        if end == line + 1 {
            // An empty line ends the head. Empty lines before a request are ignored (RFC 9112,
            // section 2.2).
            let next = if line == 0 {
                NEXT_HEAD
            } else {
                bytes.get_mut(..=end).map_or(State::Raw, head::check_head)
            };
            return Advance::Pass(end + 1, next);
        }
        (seen, line) = (end + 1, end + 1);
    }
    // The server rejects the request, so the rest needs no check, and the buffer stays bounded.
    if bytes.len() >= MAX_HEAD_BYTES {
        return Advance::Pass(bytes.len(), State::Raw);
    }
    Advance::Wait(State::Head {
        seen: bytes.len(),
        line,
    })
}

/// Returns the first line with its LF, if it is complete.
fn find_first_line(bytes: &[u8]) -> io::Result<Option<&[u8]>> {
    let line = bytes
        .iter()
        .position(|byte| *byte == b'\n')
        .and_then(|end| bytes.get(..=end));
    if line.map_or(bytes.len(), <[u8]>::len) > MAX_LINE_BYTES {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            "a line of a chunked body is too long",
        ));
    }
    Ok(line)
}

/// Parses the line with the size of a chunk (RFC 9112, section 7.1). The server rejects a size of
/// another form.
fn state_after_chunk_size(line: &[u8]) -> State {
    let digits = line
        .iter()
        .take_while(|byte| byte.is_ascii_hexdigit())
        .count();
    let size = line
        .get(..digits)
        .and_then(|digits| std::str::from_utf8(digits).ok());
    let size = size.and_then(|digits| u64::from_str_radix(digits, 16).ok());
    let is_well_formed =
        line.ends_with(b"\r\n") && matches!(line.get(digits), Some(b'\r' | b';' | b' ' | b'\t'));
    match size.filter(|_| is_well_formed) {
        Some(0) => State::Trailer,
        // The chunk is followed by CR LF.
        Some(size) => size.checked_add(2).map_or(State::Raw, |left| State::Data {
            left,
            is_chunk: true,
        }),
        None => State::Raw,
    }
}

impl<IO> Connection<IO> {
    pub(crate) fn new(io: IO) -> Self {
        Self {
            io,
            buffer: BytesMut::new(),
            checked: 0,
            state: NEXT_HEAD,
            has_ended: false,
        }
    }

    /// Returns the stream, and the bytes that were read from it and not yet passed on.
    pub(crate) fn into_parts(self) -> (IO, BytesMut) {
        (self.io, self.buffer)
    }

    /// Checks the new bytes of the buffer as far as they are complete.
    fn check_buffer(&mut self) -> io::Result<()> {
        while let Some(bytes) = self
            .buffer
            .get_mut(self.checked..)
            .filter(|bytes| !bytes.is_empty())
        {
            match self.state.advance(bytes)? {
                Advance::Wait(state) => {
                    self.state = state;
                    break;
                }
                Advance::Pass(count, state) => {
                    self.checked += count;
                    self.state = state;
                }
            }
        }
        Ok(())
    }

    fn copy_checked(&mut self, to: &mut ReadBuf<'_>) {
        let bytes = self.buffer.split_to(self.checked.min(to.remaining()));
        to.put_slice(&bytes);
        self.checked -= bytes.len();
        if self.buffer.is_empty() {
            // There can be many idle connections; none of them holds memory.
            self.buffer = BytesMut::new();
        }
    }
}

impl<IO: AsyncRead + Unpin> AsyncRead for Connection<IO> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        to: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        while this.checked == 0 && !this.has_ended {
            let mut bytes = [0; READ_BYTES];
            let mut read = ReadBuf::new(&mut bytes);
            ready!(Pin::new(&mut this.io).poll_read(context, &mut read))?;
            if read.filled().is_empty() {
                // The rest is an incomplete head, which the server rejects.
                this.has_ended = true;
                this.checked = this.buffer.len();
            } else {
                this.buffer.extend_from_slice(read.filled());
                this.check_buffer()?;
            }
        }
        this.copy_checked(to);
        Poll::Ready(Ok(()))
    }
}

impl<IO: AsyncWrite + Unpin> AsyncWrite for Connection<IO> {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().io).poll_write(context, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_shutdown(context)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().io).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }
}

#[cfg(test)]
mod tests;
