//! Closes connections on which no call is open for some time, including those on which no call was
//! ever made. Otherwise an idle or silent client could hold connections without a limit.
//!
//! A connection without an open call gets GOAWAY after 50 s, and its client makes a new connection
//! for its next call. If it is still open after 55 s, for example because the client never sent the
//! HTTP/2 preface, it is closed.

use std::{
    future::Future,
    io,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
    time::Duration,
};

use http_body_util::BodyExt;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    time::{Instant, sleep_until},
};
use tokio_util::sync::DropGuard;
use tonic::{
    body::Body,
    transport::server::{Connected, TcpConnectInfo},
};

/// Times after which an idle connection gets GOAWAY, and is closed. Both are at most 60 s.
#[derive(Debug, Clone, Copy)]
pub(crate) struct IdleLimits {
    pub(crate) goaway_after: Duration,
    pub(crate) close_after: Duration,
}

pub(crate) const IDLE_LIMITS: IdleLimits = IdleLimits {
    goaway_after: Duration::from_secs(50),
    close_after: Duration::from_secs(55),
};

/// Open calls of one connection. Clones share the state.
#[derive(Debug, Clone)]
pub(crate) struct ConnectionActivity(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    active_calls: usize,
    /// Time of the end of the last call, or of the start of the connection.
    idle_since: Instant,
}

impl ConnectionActivity {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Mutex::new(State {
            active_calls: 0,
            idle_since: Instant::now(),
        })))
    }

    /// Counts a call as open until the returned value is dropped.
    pub(crate) fn start_call(&self) -> ActiveCall {
        self.state().active_calls += 1;
        ActiveCall(self.clone())
    }

    /// Waits until no call was open for the whole of `limit`.
    pub(crate) async fn wait_until_idle(self, limit: Duration) {
        loop {
            // While a call is open, the earliest possible end is `limit` from now.
            let end = {
                let state = self.state();
                if state.active_calls == 0 {
                    state.idle_since + limit
                } else {
                    Instant::now() + limit
                }
            };
            if end <= Instant::now() {
                return;
            }
            sleep_until(end).await;
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Open call; it ends when it is dropped.
#[derive(Debug)]
pub(crate) struct ActiveCall(ConnectionActivity);

impl ActiveCall {
    /// Keeps the call open until the whole response is sent: the body owns the call, and streams
    /// can be long.
    pub(crate) fn hold_until_sent(self, response: http::Response<Body>) -> http::Response<Body> {
        response.map(|body| {
            Body::new(body.map_frame(move |frame| {
                let _open = &self;
                frame
            }))
        })
    }
}

impl Drop for ActiveCall {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.active_calls = state.active_calls.saturating_sub(1);
        state.idle_since = Instant::now();
    }
}

/// Connection that reads an end of file after it was idle for too long, which makes the server
/// close it.
pub(crate) struct IdleTimeoutStream {
    stream: TcpStream,
    close_timer: Pin<Box<dyn Future<Output = ()> + Send>>,
    is_closed: bool,
    _closed_guard: DropGuard,
}

impl IdleTimeoutStream {
    /// Wraps a connection. `on_end` is dropped together with it, which cancels its token.
    pub(crate) fn new(
        stream: TcpStream,
        activity: ConnectionActivity,
        limit: Duration,
        on_end: DropGuard,
    ) -> Self {
        Self {
            stream,
            close_timer: Box::pin(activity.wait_until_idle(limit)),
            is_closed: false,
            _closed_guard: on_end,
        }
    }
}

impl AsyncRead for IdleTimeoutStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.is_closed || self.close_timer.as_mut().poll(context).is_ready() {
            self.is_closed = true;
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for IdleTimeoutStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

impl Connected for IdleTimeoutStream {
    type ConnectInfo = TcpConnectInfo;

    fn connect_info(&self) -> TcpConnectInfo {
        self.stream.connect_info()
    }
}
