//! All sockets of this process: how a client connects, its `init` calls, and how a socket ends.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use doorward_domain::ErrorCode;
use doorward_rpc::RpcError;
use serde::Deserialize;
use serde_json::{Map, Value};
use socketioxide::{
    SocketIo,
    extract::{AckSender, SocketRef, TryData},
    handler::ConnectHandler,
    service::SocketIoService,
    socket::Sid,
};
use tokio::sync::{Semaphore, mpsc};
use tokio_util::sync::CancellationToken;

use crate::{
    backend::{InitResponse, SocketBackend, TokenError, TokenStatus},
    close_handle::CloseHandle,
    connected_socket::{ConnectedSocket, EndReason, Login, SendOutcome},
    connected_sockets::ConnectedSockets,
    dispatcher::DispatcherInput,
    empty_response::NotFoundService,
    limits::MAX_SOCKETS,
    sessions::PollingSessions,
};

/// Path of Socket.IO.
pub const PATH: &str = "/sync/io";
/// Time after which a connection without a socket is closed.
const CLOSE_DELAY: Duration = Duration::from_secs(5);
/// Maximum number of `init` calls that are processed at the same time.
const MAX_CONCURRENT_INITS: usize = 32;

/// The sockets of this process and the tasks that serve them.
pub struct Sockets {
    pub(crate) backend: Arc<dyn SocketBackend>,
    pub(crate) connected: ConnectedSockets,
    pub(crate) sessions: PollingSessions,
    pub(crate) io: SocketIo,
    pub(crate) service: SocketIoService<NotFoundService>,
    pub(crate) shutdown: CancellationToken,
    /// One permit for each WebSocket connection.
    pub(crate) connection_permits: Arc<Semaphore>,
    /// Start of the current second, and the number of sessions that began in it.
    pub(crate) session_rate: Mutex<(Instant, u32)>,
    inputs: mpsc::Sender<DispatcherInput>,
    init_permits: Semaphore,
    next_subscriber_id: AtomicU64,
}

/// The payload with which a client connects.
#[derive(Deserialize)]
struct ConnectAuth {
    #[serde(rename = "JWT")]
    token: String,
}

impl Sockets {
    /// Returns a value without sockets, whose handlers are not registered yet.
    pub(crate) fn new(
        backend: Arc<dyn SocketBackend>,
        io: SocketIo,
        service: SocketIoService<NotFoundService>,
        inputs: mpsc::Sender<DispatcherInput>,
        shutdown: CancellationToken,
    ) -> Self {
        Self {
            backend,
            connected: ConnectedSockets::default(),
            sessions: PollingSessions::default(),
            io,
            service,
            shutdown,
            connection_permits: Arc::new(Semaphore::new(MAX_SOCKETS)),
            session_rate: Mutex::new((Instant::now(), 0)),
            inputs,
            init_permits: Semaphore::new(MAX_CONCURRENT_INITS),
            next_subscriber_id: AtomicU64::new(1),
        }
    }

    pub(crate) fn register_handlers(self: &Arc<Self>) {
        let admission = self.clone();
        let admit = async move |TryData(auth): TryData<ConnectAuth>| {
            admission.authenticate(auth.ok().as_ref()).map(drop)
        };
        let sockets = self.clone();
        // The handler does its work when it is called, not when its future is polled. So the socket
        // is registered before its next packet is read.
        let connected = move |io_socket: SocketRef, TryData(auth): TryData<ConnectAuth>| {
            sockets.on_connect(io_socket, auth.ok().as_ref());
            std::future::ready(())
        };
        self.io.ns("/", connected.with(admit));
    }

    /// Verifies the token of a new socket. The error is the message for the client.
    fn authenticate(&self, auth: Option<&ConnectAuth>) -> Result<Login, &'static str> {
        let auth = auth.ok_or("Permission denied")?;
        if self.connected.count() >= MAX_SOCKETS {
            return Err("Service unavailable");
        }
        match self.backend.verify_token(&auth.token) {
            Ok(claims) if self.connected.is_full_for(claims.sub) => Err("Too many requests"),
            Ok(claims) => Ok(Login {
                token: auth.token.clone(),
                claims,
                next_renewal_at: Instant::now(),
            }),
            Err(TokenError::Invalid) => Err("Permission denied"),
            Err(TokenError::Unavailable) => Err("Service unavailable"),
        }
    }

    fn on_connect(self: &Arc<Self>, io_socket: SocketRef, auth: Option<&ConnectAuth>) {
        // The token was verified a moment ago, before the socket was connected. This fails only if
        // it was revoked, or a limit was reached, since then.
        let Ok(login) = self.authenticate(auth) else {
            let _ = io_socket.disconnect();
            return;
        };
        let sid = io_socket.id;
        let socket = Arc::new(ConnectedSocket::new(io_socket.clone(), login));
        // The handlers belong to the library's socket, which this socket holds.
        let handled = Arc::downgrade(&socket);
        if let Some(earlier) = self.connected.insert(sid, socket) {
            self.end_socket(earlier);
        }
        let sockets = self.clone();
        let socket = handled.clone();
        io_socket.on("init", async move |data: TryData<Value>, ack: AckSender| {
            if let Some(socket) = socket.upgrade() {
                sockets.on_init(socket, data.0.ok(), ack).await;
            }
        });
        let sockets = self.clone();
        // Like the handler of the connection, so that the socket is removed before the next packet
        // of its client is read.
        io_socket.on_disconnect(move || {
            if let Some(socket) = handled.upgrade() {
                sockets.remove(sid, &socket);
            }
            std::future::ready(())
        });
    }

    /// Removes a socket that is disconnected.
    pub(crate) fn remove(self: &Arc<Self>, sid: Sid, socket: &Arc<ConnectedSocket>) {
        if !self.connected.remove(sid, socket) {
            return;
        }
        if let Some(connection) = socket.close_handle.clone() {
            tokio::spawn(close_later(connection, socket.number));
        }
        self.end_socket(socket.clone());
    }

    /// Ends a socket that is disconnected or was replaced.
    fn end_socket(self: &Arc<Self>, socket: Arc<ConnectedSocket>) {
        socket.end_with(EndReason::Silent);
        let sockets = self.clone();
        tokio::spawn(async move { sockets.unsubscribe(&socket).await });
    }

    async fn unsubscribe(&self, socket: &ConnectedSocket) {
        if let Some(id) = socket.set_subscriber_id(None) {
            let _ = self.inputs.send(DispatcherInput::Unsubscribe(id)).await;
        }
    }

    /// Handles `init`: sends the response, and then starts the subscription at its position. The
    /// order matters, because the first rows must not arrive before the response.
    async fn on_init(&self, socket: Arc<ConnectedSocket>, data: Option<Value>, ack: AckSender) {
        if socket.is_ending() {
            return;
        }
        // Only one `init` of a socket is processed at a time.
        if socket.has_pending_init.swap(true, Ordering::AcqRel) {
            let throttled = ack.send(&self.backend.envelope(&RpcError::new(ErrorCode::Throttled)));
            // A client must not wait forever for a response that could not be queued.
            if socket.send_outcome(throttled) == SendOutcome::Full {
                socket.end_with(EndReason::Silent);
            }
            return;
        }
        // The earlier `init` may have been answered, but not have started its subscription yet.
        let _turn = socket.init_lock.lock().await;
        let answer = self.respond_to_init(&socket, data).await;
        // Reset before the response is sent: a client that has the response may call again.
        socket.has_pending_init.store(false, Ordering::Release);
        match socket.send_outcome(ack.send(&answer.envelope)) {
            SendOutcome::Done => {}
            SendOutcome::Full => return socket.end_with(EndReason::Silent),
            SendOutcome::Closed => return,
        }
        let start = answer.subscription;
        if let Some(start) =
            start.filter(|start| start.feeds.cc_cursor.is_some() || start.feeds.cursor.is_some())
        {
            let id = self.next_subscriber_id.fetch_add(1, Ordering::Relaxed);
            socket.set_subscriber_id(Some(id));
            let _ = self
                .inputs
                .send(DispatcherInput::Subscribe {
                    id,
                    socket: socket.clone(),
                    start,
                })
                .await;
            // If the socket ended in the meantime, its `Unsubscribe` may have found no subscription
            // yet.
            if socket.is_ending() {
                socket.set_subscriber_id(None);
                let _ = self.inputs.send(DispatcherInput::Unsubscribe(id)).await;
            }
        }
    }

    async fn respond_to_init(&self, socket: &ConnectedSocket, data: Option<Value>) -> InitResponse {
        self.unsubscribe(socket).await;
        // An error would mean that the semaphore was closed, which never happens.
        let _permit = self.init_permits.acquire().await;
        let login = socket.login();
        let rejection = match self.backend.token_status(&login.claims) {
            TokenStatus::Valid | TokenStatus::RenewalDue => None,
            TokenStatus::Invalid => Some(ErrorCode::Unauthenticated),
            TokenStatus::Unknown => Some(ErrorCode::Unavailable),
        };
        match rejection {
            Some(code) => InitResponse {
                envelope: self.backend.envelope(&RpcError::new(code)),
                subscription: None,
            },
            None => self.backend.sync(&login.claims, parse_object(data)).await,
        }
    }
}

fn parse_object(data: Option<Value>) -> Option<Map<String, Value>> {
    match data? {
        Value::Object(object) => Some(object),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
            None
        }
    }
}

/// Closes a connection whose client neither closes it nor opens another socket over it.
async fn close_later(connection: CloseHandle, last_socket: u64) {
    tokio::time::sleep(CLOSE_DELAY).await;
    connection.close_after_socket(last_socket);
}
