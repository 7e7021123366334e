//! Starts the sockets and the tasks that serve them.

use std::{sync::Arc, time::Duration};

use doorward_rpc::Channel;
use socketioxide::SocketIo;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::{
    backend::SocketBackend,
    dispatcher::Dispatcher,
    empty_response::NotFoundService,
    event_stream,
    limits::{MAX_MESSAGE_BYTES, PING_INTERVAL, PING_TIMEOUT},
    sockets::{PATH, Sockets},
    token_check,
};

/// Time in which a new connection must send its token.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Maximum number of packets that wait for a client to read them.
const MAX_PACKETS: usize = 64;
/// Initial size of the read buffer of a WebSocket. Most messages are a few bytes. The buffer grows
/// to the longest message, such as the first one with the token, and does not shrink.
const READ_BUFFER_BYTES: usize = 64;
/// Capacity of the queue to the dispatcher.
const MAX_INPUTS: usize = 1024;

impl Sockets {
    /// Starts the tasks that serve sockets. They run until `shutdown` and then close all sockets.
    /// Must be called within a Tokio runtime.
    pub fn start(
        backend: Arc<dyn SocketBackend>,
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
        let sockets = Arc::new(Self::new(
            backend.clone(),
            io,
            service,
            inputs.clone(),
            shutdown.clone(),
        ));
        sockets.register_handlers();
        tokio::spawn(Dispatcher::new(backend, directory.clone(), inputs.clone()).run(receiver));
        tokio::spawn(event_stream::run(directory, inputs, shutdown));
        tokio::spawn(token_check::run(sockets.clone()));
        sockets
    }
}
