//! All sockets of this process: who connects, what they ask for, and their end.

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
    dispatcher::{DispatcherInput, Feed},
    event_stream,
    host::{Host, InitResponse, TokenError, TokenStatus},
    sessions::PollingSessions,
    token_check,
    upgrade::NotFoundService,
    upgraded_stream::{CloseHandle, MAX_MESSAGE_BYTES},
};

pub const PATH: &str = "/sync/io";
pub(crate) const PING_INTERVAL: Duration = Duration::from_secs(25);
pub(crate) const PING_TIMEOUT: Duration = Duration::from_secs(20);
/// For a new connection to say who it is.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// For a connection whose socket is gone.
const CLOSE_DELAY: Duration = Duration::from_secs(5);
/// Packets that wait for a socket that doesn't read.
const MAX_PACKETS: usize = 64;
/// Most messages are a few bytes. It grows with the longest one, as the first, which has a token in it, and stays so.
const READ_BUFFER_BYTES: usize = 64;
/// Also of connections that are WebSockets.
pub(crate) const MAX_SOCKETS: usize = 20_000;
/// Answers of `init` that are made at once.
const MAX_CONCURRENT_INITS: usize = 32;
const MAX_INPUTS: usize = 1024;

pub struct Sockets {
    pub(crate) host: Arc<dyn Host>,
    pub(crate) clients: Clients,
    pub(crate) sessions: PollingSessions,
    pub(crate) io: SocketIo,
    pub(crate) service: SocketIoService<NotFoundService>,
    pub(crate) shutdown: CancellationToken,
    /// For connections that are WebSockets.
    pub(crate) connection_permits: Arc<Semaphore>,
    /// When a second began, and how many sessions have begun in it.
    pub(crate) session_rate: Mutex<(Instant, u32)>,
    inputs: mpsc::Sender<DispatcherInput>,
    init_permits: Semaphore,
    next_subscriber_id: AtomicU64,
}

/// What a client says of itself when it connects.
#[derive(Deserialize)]
struct ConnectAuth {
    #[serde(rename = "JWT")]
    token: String,
}

impl Sockets {
    /// Follows the directory and looks after sockets until `shutdown`, and then closes them all. To be called within a
    /// runtime.
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
        tokio::spawn(Feed::new(host, directory.clone(), inputs.clone()).run(receiver));
        tokio::spawn(event_stream::run(directory, inputs, shutdown));
        tokio::spawn(token_check::run(sockets.clone()));
        sockets
    }

    fn register_handlers(self: &Arc<Self>) {
        let (gate, sockets) = (self.clone(), self.clone());
        let admit = async move |TryData(auth): TryData<ConnectAuth>| {
            gate.authenticate(auth.ok().as_ref()).map(drop)
        };
        // Done when the future is made, before anything else of this socket is read.
        let connected = move |socket: SocketRef, TryData(auth): TryData<ConnectAuth>| {
            sockets.on_connect(socket, auth.ok().as_ref());
            std::future::ready(())
        };
        self.io.ns("/", connected.with(admit));
    }

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
        // Admitted a moment ago: it is refused only if the token has ended since.
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

    /// Clients close their connection themselves, or have another socket over it.
    async fn close_later(self: Arc<Self>, sid: Sid, connection: CancellationToken) {
        tokio::time::sleep(CLOSE_DELAY).await;
        if self.clients.find(sid).is_none() {
            connection.cancel();
        }
    }

    /// Whose rows nobody reads any more.
    pub(crate) async fn end_client(self: Arc<Self>, client: Arc<Client>) {
        client.end_with(EndReason::Quiet);
        self.unsubscribe(&client).await;
    }

    async fn unsubscribe(&self, client: &Client) {
        if let Some(listener) = client.set_subscriber_id(None) {
            let _ = self.inputs.send(DispatcherInput::Stop(listener)).await;
        }
    }

    async fn on_init(&self, socket: &SocketRef, data: Option<Value>, ack: AckSender) {
        let Some(client) = self
            .clients
            .find(socket.id)
            .filter(|client| !client.is_ending())
        else {
            return;
        };
        // One at a time.
        if client.has_pending_init.swap(true, Ordering::AcqRel) {
            let throttled = ack.send(&self.host.envelope(&RpcError::new(ErrorCode::Throttled)));
            // Each is answered, or the socket is disconnected.
            if client.send_outcome(throttled) == SendOutcome::Full {
                client.end_with(EndReason::Quiet);
            }
            return;
        }
        // The one before may have been answered and not be done yet.
        let _turn = client.init_lock.lock().await;
        let answer = self.respond_to_init(&client, data).await;
        // Whoever has the answer may ask again.
        client.has_pending_init.store(false, Ordering::Release);
        match client.send_outcome(ack.send(&answer.envelope)) {
            SendOutcome::Done => {}
            SendOutcome::Full => return client.end_with(EndReason::Quiet),
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
                .send(DispatcherInput::Subscription {
                    id,
                    client: client.clone(),
                    start,
                })
                .await;
            // If it has ended meanwhile, its end may have been noted before its start.
            if client.is_ending() {
                client.set_subscriber_id(None);
                let _ = self.inputs.send(DispatcherInput::Stop(id)).await;
            }
        }
    }

    async fn respond_to_init(&self, client: &Client, data: Option<Value>) -> InitResponse {
        self.unsubscribe(client).await;
        // It is never closed.
        let _place = self.init_permits.acquire().await;
        let login = client.login();
        let refused = match self.host.token_status(&login.claims) {
            TokenStatus::Valid | TokenStatus::RenewalDue => None,
            TokenStatus::Invalid => Some(ErrorCode::Unauthenticated),
            TokenStatus::Unknown => Some(ErrorCode::Unavailable),
        };
        match refused {
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
