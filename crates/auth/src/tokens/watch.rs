//! The stream of trust data (keys and revocations) to the services that verify tokens: a snapshot,
//! then each change, and a heartbeat while the data is fresh.

use std::{sync::Arc, time::Duration};

use doorward_rpc::auth::v1::{
    Heartbeat, KeySet, PublicKey, Revocation, TrustSnapshot, WatchTrustResponse,
    revocation::Target as PbTarget, watch_trust_response::Event as PbEvent,
};
use tokio::sync::{broadcast::error::RecvError, mpsc};
use tokio_util::sync::CancellationToken;
use tonic::Status;

use crate::{
    model::{self, RevocationTarget},
    tokens::trust_store::{TrustEvent, TrustStore},
};

/// Interval of heartbeats.
const HEARTBEAT: Duration = Duration::from_secs(1);

/// Sends trust data to one verifier until it disconnects, falls behind, or the process shuts down.
pub(crate) async fn stream_trust(
    trust: Arc<TrustStore>,
    sender: mpsc::Sender<Result<WatchTrustResponse, Status>>,
    shutdown: CancellationToken,
) {
    let (mut events, keys, revocations) = trust.subscribe();
    let mut next = Some(snapshot_event(keys, revocations));
    let mut heartbeat = tokio::time::interval(HEARTBEAT);
    loop {
        if let Some(event) = next.take()
            && sender
                .send(Ok(watch_response(&trust, event)))
                .await
                .is_err()
        {
            return;
        }
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = sender.closed() => return,
            // A verifier without heartbeats stops accepting tokens, which is right if the data is
            // stale.
            _ = heartbeat.tick() => {
                if trust.is_fresh() {
                    next = Some(PbEvent::Heartbeat(Heartbeat {}));
                }
            }
            event = events.recv() => next = match event {
                Ok(TrustEvent::Keys(keys)) => Some(PbEvent::Keys(key_set_to_pb(keys))),
                Ok(TrustEvent::Revoked(revocation)) => {
                    Some(PbEvent::Revocation(revocation_to_pb(revocation)))
                }
                // The verifier missed events. It reconnects and receives a snapshot.
                Err(RecvError::Lagged(_) | RecvError::Closed) => return,
            },
        }
    }
}

/// Returns the message of an event, with the age of the knowledge of revocations.
fn watch_response(trust: &TrustStore, event: PbEvent) -> WatchTrustResponse {
    let age = trust.age().unwrap_or(Duration::MAX).as_millis();
    WatchTrustResponse {
        event: Some(event),
        age_milliseconds: u64::try_from(age).unwrap_or(u64::MAX),
    }
}

fn snapshot_event(
    keys: Vec<doorward_token::PublicKey>,
    revocations: Vec<model::Revocation>,
) -> PbEvent {
    PbEvent::Snapshot(TrustSnapshot {
        keys: Some(key_set_to_pb(keys)),
        revocations: revocations.into_iter().map(revocation_to_pb).collect(),
    })
}

pub(crate) fn key_set_to_pb(keys: Vec<doorward_token::PublicKey>) -> KeySet {
    KeySet {
        keys: keys
            .into_iter()
            .map(|key| PublicKey {
                kid: key.kid,
                x: key.x,
            })
            .collect(),
    }
}

fn revocation_to_pb(revocation: model::Revocation) -> Revocation {
    let target = match revocation.target {
        RevocationTarget::Subject(gid) => PbTarget::Subject(gid.to_string()),
        RevocationTarget::Sid(sid) => PbTarget::Sid(sid),
    };
    Revocation {
        target: Some(target),
        not_before: revocation.not_before_seconds,
        expires_at: revocation.expires_at_seconds,
    }
}
