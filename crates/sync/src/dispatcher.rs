//! The task that drives the hub: it passes feed events and sync pages to the hub, makes the hub's
//! calls and sends the hub's rows. No other task sends rows, so each socket receives them in order.

use std::{collections::HashMap, sync::Arc, time::Duration};

use doorward_domain::ErrorCode;
use doorward_rpc::{
    Channel, RpcError,
    channel::MAX_MESSAGE_BYTES,
    directory::v1::{SyncRequest, SyncResponse, directory_client::DirectoryClient},
};
use tokio::sync::mpsc;

use crate::{
    backend::{SocketBackend, SubscriptionStart, TokenStatus},
    connected_socket::{ConnectedSocket, EndReason, SendOutcome},
    event::{EventRow, FeedEvent},
    hub::{Hub, SyncCall, SyncPage},
};

/// Maximum number of rows in one Socket.IO event.
const MAX_ROWS: usize = 1000;
/// Pause after the first failed call; it doubles with each further failure.
const PAUSE: Duration = Duration::from_millis(250);
/// Maximum number of doublings, so a pause is at most 4 s.
const MAX_DOUBLINGS: u32 = 4;

pub(crate) enum DispatcherInput {
    /// Events of the stream, and its position after them.
    Events(Vec<FeedEvent>, i64),
    /// The stream cannot continue from its position.
    StreamLost,
    /// A socket starts a subscription.
    Subscribe {
        id: u64,
        socket: Arc<ConnectedSocket>,
        start: SubscriptionStart,
    },
    /// A subscription has ended.
    Unsubscribe(u64),
    /// A call of Sync has ended.
    SyncCompleted {
        id: u64,
        answer: Result<SyncResponse, tonic::Status>,
    },
    /// The pause of a subscriber is over.
    RetrySync(u64),
}

/// The dispatcher: the hub, and the sockets of its subscribers.
pub(crate) struct Dispatcher {
    backend: Arc<dyn SocketBackend>,
    directory: Channel,
    inputs: mpsc::Sender<DispatcherInput>,
    hub: Hub,
    sockets: HashMap<u64, Arc<ConnectedSocket>>,
    /// Number of failed calls since the last successful one, of all subscribers.
    failures: u32,
}

impl Dispatcher {
    pub(crate) fn new(
        backend: Arc<dyn SocketBackend>,
        directory: Channel,
        inputs: mpsc::Sender<DispatcherInput>,
    ) -> Self {
        Self {
            backend,
            directory,
            inputs,
            hub: Hub::new(),
            sockets: HashMap::new(),
            failures: 0,
        }
    }

    pub(crate) async fn run(mut self, mut inputs: mpsc::Receiver<DispatcherInput>) {
        while let Some(input) = inputs.recv().await {
            self.handle(input);
            while let Some(call) = self.hub.next_call() {
                self.start_sync(call);
            }
        }
    }

    fn handle(&mut self, input: DispatcherInput) {
        match input {
            DispatcherInput::Events(events, position) => {
                for (id, rows) in self.hub.apply_events(events, position) {
                    self.deliver(id, &rows);
                }
            }
            DispatcherInput::StreamLost => self.hub.lose_stream(),
            DispatcherInput::Subscribe { id, socket, start } => {
                let user = socket.login().claims.sub;
                self.sockets.insert(id, socket);
                let rows = self.hub.subscribe(id, user, start);
                self.deliver(id, &rows);
            }
            DispatcherInput::Unsubscribe(id) => self.unsubscribe(id),
            DispatcherInput::SyncCompleted {
                id,
                answer: Ok(answer),
            } => {
                self.failures = 0;
                self.complete_sync(id, answer);
            }
            DispatcherInput::SyncCompleted {
                id,
                answer: Err(status),
            } => self.fail_sync(id, &status),
            DispatcherInput::RetrySync(id) => self.hub.retry_call(id),
        }
    }

    fn complete_sync(&mut self, id: u64, answer: SyncResponse) {
        let page = SyncPage {
            rows: answer
                .rows
                .into_iter()
                .map(|row| Arc::new(EventRow::from(row)))
                .collect(),
            has_more: answer.has_more,
            position: answer.position,
            audiences: answer.audiences,
        };
        let outcome = self.hub.complete_call(id, page);
        self.deliver(id, &outcome.rows);
        if outcome.is_paused {
            self.retry_later(id);
        }
    }

    /// Handles a failed call of Sync. An unreachable directory is only a debug message here,
    /// because the task that follows the feed events has logged it.
    fn fail_sync(&mut self, id: u64, status: &tonic::Status) {
        self.hub.fail_call(id);
        let failure = RpcError::from_service_status(status).unwrap_or_else(RpcError::unavailable);
        match failure.code {
            // The cursor is before the tail of the feed.
            ErrorCode::Unprocessable => self.expire(id),
            ErrorCode::Unauthenticated | ErrorCode::UnknownUser => {
                self.end_socket(id, EndReason::TokenInvalid);
            }
            // The user is no longer a member of the project.
            ErrorCode::Forbidden => {
                if self.hub.unsubscribe_project(id) {
                    self.hub.retry_call(id);
                } else {
                    self.unsubscribe(id);
                }
            }
            ErrorCode::InvalidRequest
            | ErrorCode::NotFound
            | ErrorCode::Throttled
            | ErrorCode::Internal
            | ErrorCode::Unavailable
            | ErrorCode::Validation
            | ErrorCode::InviteInvalid => {
                tracing::debug!(%status, "failed to sync a socket; retrying");
                self.failures = self.failures.saturating_add(1);
                self.retry_later(id);
            }
        }
    }

    fn retry_later(&self, id: u64) {
        let pause = PAUSE * 2_u32.pow(self.failures.min(MAX_DOUBLINGS));
        let inputs = self.inputs.clone();
        tokio::spawn(async move {
            tokio::time::sleep(pause).await;
            let _ = inputs.send(DispatcherInput::RetrySync(id)).await;
        });
    }

    fn start_sync(&self, call: SyncCall) {
        let mut client = DirectoryClient::new(self.directory.clone())
            .max_decoding_message_size(MAX_MESSAGE_BYTES);
        let inputs = self.inputs.clone();
        let request = SyncRequest {
            user_gid: call.user.to_string(),
            cc_cursor: call.feeds.cc_cursor,
            project_gid: call.feeds.project.map(|project| project.to_string()),
            cursor: call.feeds.cursor,
            include_audiences: true,
        };
        tokio::spawn(async move {
            let answer = client.sync(request).await.map(tonic::Response::into_inner);
            let _ = inputs
                .send(DispatcherInput::SyncCompleted {
                    id: call.subscriber,
                    answer,
                })
                .await;
        });
    }

    /// Sends rows to a subscriber, unless its client has sent another `init` since or its token is
    /// no longer valid. In the latter case the token check ends the socket and sends the reason.
    fn deliver(&mut self, id: u64, rows: &[Arc<EventRow>]) {
        let Some(socket) = self.sockets.get(&id).filter(|_| !rows.is_empty()).cloned() else {
            return;
        };
        let is_allowed = match self.backend.token_status(&socket.login().claims) {
            TokenStatus::Valid | TokenStatus::RenewalDue => {
                socket.is_subscriber(id) && !socket.is_ending()
            }
            TokenStatus::Invalid | TokenStatus::Unknown => false,
        };
        if !is_allowed {
            return self.unsubscribe(id);
        }
        for rows in rows.chunks(MAX_ROWS) {
            let rows: Vec<&EventRow> = rows.iter().map(AsRef::as_ref).collect();
            match socket.emit("sync", &rows) {
                SendOutcome::Done => {}
                // The client does not read fast enough. A gap in the rows would go undetected, so
                // the subscription ends.
                SendOutcome::Full => {
                    metrics::counter!("doorward_slow_sockets_total").increment(1);
                    return self.expire(id);
                }
                SendOutcome::Closed => return self.unsubscribe(id),
            }
        }
    }

    /// Ends the subscription with `cursor_expired`, so the client starts over.
    fn expire(&mut self, id: u64) {
        if let Some(socket) = self.sockets.get(&id) {
            socket.expire(id);
        }
        self.unsubscribe(id);
    }

    /// Ends the socket itself; the token check sends its end.
    fn end_socket(&mut self, id: u64, end: EndReason) {
        if let Some(socket) = self.sockets.get(&id) {
            socket.end_with(end);
        }
        self.unsubscribe(id);
    }

    fn unsubscribe(&mut self, id: u64) {
        self.hub.unsubscribe(id);
        self.sockets.remove(&id);
    }
}
