//! Auth over gRPC: parse, call, convert.

use std::{sync::Arc, time::Duration};

use doorward_domain::{Clock, Gid, Timestamp};
use doorward_proto::{
    Failure,
    auth::v1::{
        Heartbeat, KeySet, PublicKey, RenewTokenRequest, RenewTokenResponse, Revocation, TrustSnapshot,
        VerifyPasswordRequest, VerifyPasswordResponse, WatchTrustRequest, WatchTrustResponse, auth_server,
        revocation::Covers as PbCovers, watch_trust_response::Event as PbEvent,
    },
};
use tokio::sync::{broadcast, mpsc};
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status};

use crate::{
    Credentials, Error, revocation,
    revocation::Covers,
    tokens::Tokens,
    trust::{Event, Trust},
};

const HEARTBEAT: Duration = Duration::from_secs(1);

pub(crate) struct Service {
    pub(crate) credentials: Credentials,
    pub(crate) tokens: Tokens,
    pub(crate) trust: Arc<Trust>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) shutdown: CancellationToken,
}

#[tonic::async_trait]
impl auth_server::Auth for Service {
    async fn verify_password(
        &self,
        request: Request<VerifyPasswordRequest>,
    ) -> Result<Response<VerifyPasswordResponse>, Status> {
        let request = request.into_inner();
        let user = request
            .user_gid
            .as_deref()
            .map(|gid| gid.parse::<Gid>().map_err(|_| Failure::invalid("user_gid")))
            .transpose()?;
        // Not later than now, whatever the directory's clock says.
        let begun = self.clock.now().min(Timestamp::from_micros(request.user_checked_at));
        let token = self.log_in(user, &request.password, begun).await.map_err(Failure::from)?;
        Ok(Response::new(VerifyPasswordResponse { token }))
    }

    async fn renew_token(&self, request: Request<RenewTokenRequest>) -> Result<Response<RenewTokenResponse>, Status> {
        let token = self.tokens.renew(&request.get_ref().token).map_err(Failure::from)?;
        Ok(Response::new(RenewTokenResponse { token }))
    }

    type WatchTrustStream = ReceiverStream<Result<WatchTrustResponse, Status>>;

    async fn watch_trust(&self, _: Request<WatchTrustRequest>) -> Result<Response<Self::WatchTrustStream>, Status> {
        if !self.trust.is_fresh() {
            return Err(Failure::unavailable().into());
        }
        let (sender, receiver) = mpsc::channel(64);
        tokio::spawn(tell(self.trust.clone(), sender, self.shutdown.clone()));
        Ok(Response::new(ReceiverStream::new(receiver)))
    }
}

impl Service {
    async fn log_in(&self, user: Option<Gid>, password: &str, begun: Timestamp) -> Result<String, Error> {
        let verified = self.credentials.verify(user, password).await?;
        self.tokens.issue(verified, begun).await
    }
}

/// Tells one listener of keys and revocations until it goes away.
async fn tell(
    trust: Arc<Trust>,
    sender: mpsc::Sender<Result<WatchTrustResponse, Status>>,
    shutdown: CancellationToken,
) {
    let (mut events, keys, revocations) = trust.subscribe();
    let mut next = Some(snapshot(keys, revocations));
    let mut heartbeat = tokio::time::interval(HEARTBEAT);
    loop {
        if let Some(event) = next.take()
            && sender.send(Ok(WatchTrustResponse { event: Some(event) })).await.is_err()
        {
            return;
        }
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = sender.closed() => return,
            // Who hears no heartbeat stops believing tokens: right, when we know nothing new ourselves.
            _ = heartbeat.tick() => if trust.is_fresh() { next = Some(PbEvent::Heartbeat(Heartbeat {})) },
            event = events.recv() => next = match event {
                Ok(Event::Keys(keys)) => Some(PbEvent::Keys(key_set(keys))),
                Ok(Event::Revoked(revocation)) => Some(PbEvent::Revocation(to_pb(revocation))),
                // The listener starts over, with a snapshot.
                Err(broadcast::error::RecvError::Lagged(_) | broadcast::error::RecvError::Closed) => return,
            },
        }
    }
}

fn snapshot(keys: Vec<doorward_token::PublicKey>, revocations: Vec<revocation::Revocation>) -> PbEvent {
    PbEvent::Snapshot(TrustSnapshot {
        keys: Some(key_set(keys)),
        revocations: revocations.into_iter().map(to_pb).collect(),
    })
}

fn key_set(keys: Vec<doorward_token::PublicKey>) -> KeySet {
    KeySet { keys: keys.into_iter().map(|key| PublicKey { kid: key.kid, x: key.x }).collect() }
}

fn to_pb(revocation: revocation::Revocation) -> Revocation {
    let covers = match revocation.covers {
        Covers::Subject(gid) => PbCovers::Subject(gid.to_string()),
        Covers::Sid(sid) => PbCovers::Sid(sid),
    };
    Revocation {
        covers: Some(covers),
        not_before: revocation.not_before_seconds,
        expires_at: revocation.expires_at_seconds,
    }
}
