//! All sockets of this process: how a client connects, its `init` calls, and how a socket ends.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use doorward_domain::ErrorCode;
use doorward_rpc::{Channel, RpcError};
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
    client::{Client, EndReason, Login, SendOutcome},
    clients::Clients,
    dispatcher::{Dispatcher, DispatcherInput},
    event_stream,
    host::{Host, InitResponse, TokenError, TokenStatus},
    sessions::PollingSessions,
    token_check,
    upgrade::NotFoundService,
    upgraded_stream::{CloseHandle, MAX_MESSAGE_BYTES},
};

/// Path of Socket.IO.
pub const PATH: &str = "/sync/io";
pub(crate) const PING_INTERVAL: Duration = Duration::from_secs(25);
pub(crate) const PING_TIMEOUT: Duration = Duration::from_secs(20);
/// Time in which a new connection must send its token.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Time after which a connection without a socket is closed.
const CLOSE_DELAY: Duration = Duration::from_secs(5);
/// Maximum number of packets that wait for a client to read them.
const MAX_PACKETS: usize = 64;
/// Initial size of the read buffer of a WebSocket. Most messages are a few bytes. The buffer grows
/// to the longest message, such as the first one with the token, and does not shrink.
const READ_BUFFER_BYTES: usize = 64;
/// Maximum number of sockets, and of WebSocket connections.
pub(crate) const MAX_SOCKETS: usize = 20_000;
/// Maximum number of `init` calls that are processed at the same time.
const MAX_CONCURRENT_INITS: usize = 32;
/// Capacity of the queue to the dispatcher.
const MAX_INPUTS: usize = 1024;

/// The sockets of this process and the tasks that serve them.
pub struct Sockets {
    pub(crate) host: Arc<dyn Host>,
    pub(crate) clients: Clients,
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
    /// Starts the tasks that serve sockets. They run until `shutdown` and then close all sockets.
    /// Must be called within a Tokio runtime.
    pub fn start(
        host: Arc<dyn Host>,
        directory: Channel,
        shutdown: CancellationToken,
    ) -> Arc<Self> {
        let (inputs, receiver) = mpsc::channel(MAX_INPUTS);
        let (service, io) = SocketIo::builder()
            .req_path(PATH)
            .ping_interval(PING_INTERVAL)
            .ping_timeout(PING_TIMEOUT)
            .connect_timeout(CONNECT_TIMEOUT)
            .max_buffer_size(MAX_PACKETS)
            .max_payload(MAX_MESSAGE_BYTES)
            .ws_read_buffer_size(READ_BUFFER_BYTES)
            .build_with_inner_svc(NotFoundService);
        let sockets = Arc::new(Self {
            host: host.clone(),
            clients: Clients::default(),
            sessions: PollingSessions::default(),
            io,
            service,
            shutdown: shutdown.clone(),
            connection_permits: Arc::new(Semaphore::new(MAX_SOCKETS)),
            session_rate: Mutex::new((Instant::now(), 0)),
            inputs: inputs.clone(),
            init_permits: Semaphore::new(MAX_CONCURRENT_INITS),
            next_subscriber_id: AtomicU64::new(1),
        });
        sockets.register_handlers();
        tokio::spawn(Dispatcher::new(host, directory.clone(), inputs.clone()).run(receiver));
        tokio::spawn(event_stream::run(directory, inputs, shutdown));
        tokio::spawn(token_check::run(sockets.clone()));
        sockets
    }

    fn register_handlers(self: &Arc<Self>) {
        let admission = self.clone();
        let admit = async move |TryData(auth): TryData<ConnectAuth>| {
            admission.authenticate(auth.ok().as_ref()).map(drop)
        };
        let sockets = self.clone();
        // The handler does its work when it is called, not when its future is polled. So the socket
        // is registered before its next packet is read.
        let connected = move |socket: SocketRef, TryData(auth): TryData<ConnectAuth>| {
            sockets.on_connect(socket, auth.ok().as_ref());
            std::future::ready(())
        };
        self.io.ns("/", connected.with(admit));
    }

    /// Verifies the token of a new socket. The error is the message for the client.
    fn authenticate(&self, auth: Option<&ConnectAuth>) -> Result<Login, &'static str> {
        let auth = auth.ok_or("Permission denied")?;
        if self.clients.count() >= MAX_SOCKETS {
            return Err("Service unavailable");
        }
        match self.host.verify_token(&auth.token) {
            Ok(claims) if self.clients.is_full_for(claims.sub) => Err("Too many requests"),
            Ok(claims) => Ok(Login {
                token: auth.token.clone(),
                claims,
                next_renewal_at: Instant::now(),
            }),
            Err(TokenError::Invalid) => Err("Permission denied"),
            Err(TokenError::Unavailable) => Err("Service unavailable"),
        }
    }

    fn on_connect(self: &Arc<Self>, socket: SocketRef, auth: Option<&ConnectAuth>) {
        // The token was verified a moment ago, before the socket was connected. This fails only if
        // it was revoked, or a limit was reached, since then.
        let Ok(login) = self.authenticate(auth) else {
            let _ = socket.disconnect();
            return;
        };
        let client = Arc::new(Client::new(socket.clone(), login));
        if let Some(earlier) = self.clients.insert(socket.id, client) {
            tokio::spawn(self.clone().end_client(earlier));
        }
        let sockets = self.clone();
        socket.on(
            "init",
            async move |socket: SocketRef, data: TryData<Value>, ack: AckSender| {
                sockets.on_init(&socket, data.0.ok(), ack).await;
            },
        );
        let sockets = self.clone();
        socket.on_disconnect(async move |socket: SocketRef| sockets.on_disconnect(&socket).await);
    }

    async fn on_disconnect(self: Arc<Self>, socket: &SocketRef) {
        let Some(client) = self.clients.remove(socket.id) else {
            return;
        };
        if let Some(CloseHandle(connection)) = client.close_handle.clone() {
            tokio::spawn(self.clone().close_later(socket.id, connection));
        }
        self.end_client(client).await;
    }

    /// Closes a connection whose client neither closes it nor opens another socket over it.
    async fn close_later(self: Arc<Self>, sid: Sid, connection: CancellationToken) {
        tokio::time::sleep(CLOSE_DELAY).await;
        if self.clients.find(sid).is_none() {
            connection.cancel();
        }
    }

    /// Ends a client whose socket is disconnected or was replaced.
    pub(crate) async fn end_client(self: Arc<Self>, client: Arc<Client>) {
        client.end_with(EndReason::Silent);
        self.unsubscribe(&client).await;
    }

    async fn unsubscribe(&self, client: &Client) {
        if let Some(id) = client.set_subscriber_id(None) {
            let _ = self.inputs.send(DispatcherInput::Unsubscribe(id)).await;
        }
    }

    /// Handles `init`: sends the response, and then starts the subscription at its position. The
    /// order matters, because the first rows must not arrive before the response.
    async fn on_init(&self, socket: &SocketRef, data: Option<Value>, ack: AckSender) {
        let Some(client) = self
            .clients
            .find(socket.id)
            .filter(|client| !client.is_ending())
        else {
            return;
        };
        // Only one `init` of a socket is processed at a time.
        if client.has_pending_init.swap(true, Ordering::AcqRel) {
            let throttled = ack.send(&self.host.envelope(&RpcError::new(ErrorCode::Throttled)));
            // A client must not wait forever for a response that could not be queued.
            if client.send_outcome(throttled) == SendOutcome::Full {
                client.end_with(EndReason::Silent);
            }
            return;
        }
        // The earlier `init` may have been answered, but not have started its subscription yet.
        let _turn = client.init_lock.lock().await;
        let answer = self.respond_to_init(&client, data).await;
        // Reset before the response is sent: a client that has the response may call again.
        client.has_pending_init.store(false, Ordering::Release);
        match client.send_outcome(ack.send(&answer.envelope)) {
            SendOutcome::Done => {}
            SendOutcome::Full => return client.end_with(EndReason::Silent),
            SendOutcome::Closed => return,
        }
        let start = answer.subscription;
        if let Some(start) =
            start.filter(|start| start.feeds.cc_cursor.is_some() || start.feeds.cursor.is_some())
        {
            let id = self.next_subscriber_id.fetch_add(1, Ordering::Relaxed);
            client.set_subscriber_id(Some(id));
            let _ = self
                .inputs
                .send(DispatcherInput::Subscribe {
                    id,
                    client: client.clone(),
                    start,
                })
                .await;
            // If the client ended in the meantime, its `Stop` may have found no subscription yet.
            if client.is_ending() {
                client.set_subscriber_id(None);
                let _ = self.inputs.send(DispatcherInput::Unsubscribe(id)).await;
            }
        }
    }

    async fn respond_to_init(&self, client: &Client, data: Option<Value>) -> InitResponse {
        self.unsubscribe(client).await;
        // An error would mean that the semaphore was closed, which never happens.
        let _permit = self.init_permits.acquire().await;
        let login = client.login();
        let rejection = match self.host.token_status(&login.claims) {
            TokenStatus::Valid | TokenStatus::RenewalDue => None,
            TokenStatus::Invalid => Some(ErrorCode::Unauthenticated),
            TokenStatus::Unknown => Some(ErrorCode::Unavailable),
        };
        match rejection {
            Some(code) => InitResponse {
                envelope: self.host.envelope(&RpcError::new(code)),
                subscription: None,
            },
            None => self.host.sync(&login.claims, parse_object(data)).await,
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
