//! Telling verifiers of tokens what they must know: keys and revocations, as they change.

use std::{sync::Arc, time::Duration};

use doorward_rpc::auth::v1::{
    Heartbeat, KeySet, PublicKey, Revocation, TrustSnapshot, WatchTrustResponse,
    revocation::Target as PbTarget, watch_trust_response::Event as PbEvent,
};
use tokio::sync::{broadcast, mpsc};
use tokio_util::sync::CancellationToken;
use tonic::Status;

use crate::tokens::{
    revocation::{self, RevocationTarget},
    trust_store::{TrustEvent, TrustStore},
};

const HEARTBEAT: Duration = Duration::from_secs(1);

/// Tells one listener of keys and revocations until it goes away.
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
            // Who hears no heartbeat stops believing tokens: right, when we know nothing new ourselves.
            _ = heartbeat.tick() => if trust.is_fresh() { next = Some(PbEvent::Heartbeat(Heartbeat {})) },
            event = events.recv() => next = match event {
                Ok(TrustEvent::Keys(keys)) => Some(PbEvent::Keys(key_set_to_pb(keys))),
                Ok(TrustEvent::Revoked(revocation)) => Some(PbEvent::Revocation(revocation_to_pb(revocation))),
                // The listener starts over, with a snapshot.
                Err(broadcast::error::RecvError::Lagged(_) | broadcast::error::RecvError::Closed) => return,
            },
        }
    }
}

fn watch_response(trust: &TrustStore, event: PbEvent) -> WatchTrustResponse {
    let age = trust.age().unwrap_or(Duration::MAX).as_millis();
    WatchTrustResponse {
        event: Some(event),
        age_milliseconds: u64::try_from(age).unwrap_or(u64::MAX),
    }
}

fn snapshot_event(
    keys: Vec<doorward_token::PublicKey>,
    revocations: Vec<revocation::Revocation>,
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

fn revocation_to_pb(revocation: revocation::Revocation) -> Revocation {
    let covers = match revocation.target {
        RevocationTarget::Subject(gid) => PbTarget::Subject(gid.to_string()),
        RevocationTarget::Sid(sid) => PbTarget::Sid(sid),
    };
    Revocation {
        target: Some(covers),
        not_before: revocation.not_before_seconds,
        expires_at: revocation.expires_at_seconds,
    }
}
