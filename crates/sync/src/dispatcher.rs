//! The task that drives the hub: it alone tells sockets rows, so that each gets them in order.

use std::{collections::HashMap, sync::Arc, time::Duration};

use doorward_domain::ErrorCode;
use doorward_rpc::{
    Channel, RpcError,
    channel::MAX_MESSAGE_BYTES,
    directory::v1::{SyncRequest, SyncResponse, directory_client::DirectoryClient},
};
use tokio::sync::mpsc;

use crate::{
    client::{Client, EndReason, SendOutcome},
    event::{EventRow, FeedEvent},
    host::{Host, Subscription, TokenStatus},
    hub::{Hub, SyncCall, SyncPage},
};

/// Rows in one event.
const MAX_ROWS: usize = 1000;
/// After a call that failed; twice as long after each further one.
const PAUSE: Duration = Duration::from_millis(250);
const MAX_DOUBLINGS: u32 = 4;

pub(crate) enum DispatcherInput {
    /// News of the stream of notices, and its position.
    Heard(Vec<FeedEvent>, i64),
    /// The stream can't go on from where it was.
    Lost,
    Subscription {
        id: u64,
        client: Arc<Client>,
        start: Subscription,
    },
    Stop(u64),
    Answered {
        id: u64,
        answer: Result<SyncResponse, tonic::Status>,
    },
    Retry(u64),
}

pub(crate) struct Feed {
    host: Arc<dyn Host>,
    directory: Channel,
    inputs: mpsc::Sender<DispatcherInput>,
    hub: Hub,
    clients: HashMap<u64, Arc<Client>>,
    /// Calls that failed since one was answered.
    failures: u32,
}

impl Feed {
    pub(crate) fn new(
        host: Arc<dyn Host>,
        directory: Channel,
        inputs: mpsc::Sender<DispatcherInput>,
    ) -> Self {
        Self {
            host,
            directory,
            inputs,
            hub: Hub::new(),
            clients: HashMap::new(),
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
            DispatcherInput::Heard(notices, position) => {
                for (id, rows) in self.hub.apply_events(notices, position) {
                    self.deliver(id, &rows);
                }
            }
            DispatcherInput::Lost => self.hub.lose_stream(),
            DispatcherInput::Subscription { id, client, start } => {
                let user = client.login().claims.sub;
                self.clients.insert(id, client);
                let rows = self.hub.subscribe(id, user, start);
                self.deliver(id, &rows);
            }
            DispatcherInput::Stop(id) => self.unsubscribe(id),
            DispatcherInput::Answered {
                id,
                answer: Ok(answer),
            } => {
                self.failures = 0;
                self.complete_sync(id, answer);
            }
            DispatcherInput::Answered {
                id,
                answer: Err(status),
            } => self.fail_sync(id, &status),
            DispatcherInput::Retry(id) => self.hub.retry_call(id),
        }
    }

    fn complete_sync(&mut self, id: u64, answer: SyncResponse) {
        let SyncResponse {
            rows,
            has_more,
            position,
            audiences: scopes,
        } = answer;
        let rows = rows
            .into_iter()
            .map(|row| Arc::new(EventRow::from(row)))
            .collect();
        let outcome = self.hub.complete_call(
            id,
            SyncPage {
                rows,
                has_more,
                position,
                audiences: scopes,
            },
        );
        self.deliver(id, &outcome.rows);
        if outcome.is_paused {
            self.retry_later(id);
        }
    }

    /// Who follows the notices has said already that the directory is away.
    fn fail_sync(&mut self, id: u64, status: &tonic::Status) {
        self.hub.fail_call(id);
        let failure = RpcError::from_service_status(status).unwrap_or_else(RpcError::unavailable);
        match failure.code {
            ErrorCode::Unprocessable => self.expire(id),
            ErrorCode::Unauthenticated | ErrorCode::UnknownUser => {
                self.end_client(id, EndReason::Denied)
            }
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
                tracing::debug!(%status, "a socket is not up to date; trying on");
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
            let _ = inputs.send(DispatcherInput::Retry(id)).await;
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
                .send(DispatcherInput::Answered {
                    id: call.subscriber,
                    answer,
                })
                .await;
        });
    }

    /// Not if it has asked anew since; nor if the token is good no more: then the sweep ends the socket, and says why.
    fn deliver(&mut self, id: u64, rows: &[Arc<EventRow>]) {
        let Some(client) = self.clients.get(&id).filter(|_| !rows.is_empty()).cloned() else {
            return;
        };
        let may_know = match self.host.token_status(&client.login().claims) {
            TokenStatus::Valid | TokenStatus::RenewalDue => {
                client.is_subscriber(id) && !client.is_ending()
            }
            TokenStatus::Invalid | TokenStatus::Unknown => false,
        };
        if !may_know {
            return self.unsubscribe(id);
        }
        for rows in rows.chunks(MAX_ROWS) {
            let rows: Vec<&EventRow> = rows.iter().map(AsRef::as_ref).collect();
            match client.emit("sync", &rows) {
                SendOutcome::Done => {}
                SendOutcome::Full => {
                    metrics::counter!("doorward_slow_sockets_total").increment(1);
                    return self.expire(id);
                }
                SendOutcome::Closed => return self.unsubscribe(id),
            }
        }
    }

    fn expire(&mut self, id: u64) {
        if let Some(client) = self.clients.get(&id) {
            client.expire(id);
        }
        self.unsubscribe(id);
    }

    fn end_client(&mut self, id: u64, end: EndReason) {
        if let Some(client) = self.clients.get(&id) {
            client.end_with(end);
        }
        self.unsubscribe(id);
    }

    fn unsubscribe(&mut self, id: u64) {
        self.hub.unsubscribe(id);
        self.clients.remove(&id);
    }
}
