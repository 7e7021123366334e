//! Position in the bytes of a connection, between and within requests.

/// Meaning of the next bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// A head, of which `seen` bytes were checked. Its last line begins at `line`.
    Head { seen: usize, line: usize },
    /// A body of known length, or one chunk of a body with the CR LF after it.
    Data { left: u64, is_chunk: bool },
    /// The line with the size of the next chunk.
    ChunkSize,
    /// The trailer after the last chunk.
    Trailer,
    /// No more heads: the connection becomes a WebSocket, or the server rejects the request and
    /// closes.
    Raw,
}

/// State before a head of which nothing was read.
pub(super) const NEXT_HEAD: State = State::Head { seen: 0, line: 0 };
