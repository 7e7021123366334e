//! Verifies tokens with the public keys and revocations that auth streams, kept in memory. This
//! file can be copied unchanged.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use doorward_domain::{Clock, SystemClock};
use doorward_rpc::{
    Channel, NextMessageError,
    auth::v1::{
        KeySet as Keys, Revocation, WatchTrustRequest, auth_client::AuthClient, revocation::Target,
        watch_trust_response::Event,
    },
    channel::MAX_MESSAGE_BYTES,
    next_message,
};
use doorward_token::{CachingVerifier, Claims, KeySet, PublicKey};
use tokio::sync::watch;
use tonic::Status;

/// Auth sends a message each second. After this long without one, the stream is closed and opened
/// again.
const STREAM_TIMEOUT: Duration = Duration::from_secs(4);
/// Maximum time without a message from auth. After that tokens are neither accepted nor rejected,
/// because revocations may be missing.
const MAX_STALENESS: Duration = Duration::from_secs(10);
/// Wait before the stream is opened again.
const PAUSE: Duration = Duration::from_millis(500);

pub(crate) enum TokenError {
    /// The token is not valid.
    Invalid,
    /// No recent message from auth, so the status of the token is unknown.
    Unavailable,
}

#[derive(Clone)]
pub(crate) struct Trust {
    verifier: Arc<CachingVerifier>,
    known: watch::Receiver<Known>,
}

#[derive(Default)]
struct Known {
    keys: KeySet,
    revocations: HashMap<Target, Revocation>,
    received_at: Option<Instant>,
}

impl Trust {
    /// Follows auth's stream until the last `Trust` is dropped.
    pub(crate) fn start(auth: Channel, issuer: &str) -> Self {
        let (sender, known) = watch::channel(Known::default());
        tokio::spawn(async move {
            while !sender.is_closed() {
                if let Err(status) = read_stream(&auth, &sender).await {
                    tracing::warn!(code = ?status.code(), "lost the trust stream of auth; reconnecting");
                }
                tokio::time::sleep(PAUSE).await;
            }
        });
        Self {
            verifier: Arc::new(CachingVerifier::new(issuer)),
            known,
        }
    }

    /// Verifies a token and checks its revocations.
    ///
    /// # Errors
    /// [`TokenError::Unavailable`] if the stream has been silent for too long,
    /// [`TokenError::Invalid`] if the token is invalid or revoked.
    pub(crate) fn check(&self, token: &str) -> Result<Claims, TokenError> {
        let known = self.known.borrow();
        if known
            .received_at
            .is_none_or(|received_at| received_at.elapsed() >= MAX_STALENESS)
        {
            return Err(TokenError::Unavailable);
        }
        let claims = self
            .verifier
            .verify(token, &known.keys, SystemClock.now())
            .map_err(|_| TokenError::Invalid)?;
        // A revocation covers all logins of a user, or one login; both need a look-up.
        let targets = [
            Target::Subject(claims.sub.to_string()),
            Target::Sid(claims.sid.clone()),
        ];
        let mut revocations = targets
            .iter()
            .filter_map(|target| known.revocations.get(target));
        let is_revoked = revocations.any(|revocation| claims.auth_time < revocation.not_before);
        if is_revoked {
            Err(TokenError::Invalid)
        } else {
            Ok(claims)
        }
    }
}

async fn read_stream(auth: &Channel, known: &watch::Sender<Known>) -> Result<(), Status> {
    let mut client = AuthClient::new(auth.clone()).max_decoding_message_size(MAX_MESSAGE_BYTES);
    let mut stream = client.watch_trust(WatchTrustRequest {}).await?.into_inner();
    loop {
        let message = match next_message(&mut stream, STREAM_TIMEOUT).await {
            Ok(Some(message)) => message,
            Ok(None) => return Ok(()),
            Err(NextMessageError::Timeout) => {
                return Err(Status::unavailable("no message from auth in time"));
            }
            Err(NextMessageError::Status(status)) => return Err(status),
        };
        known.send_modify(|known| {
            known.apply(message.event);
            known.received_at = Some(Instant::now());
        });
    }
}

impl Known {
    fn apply(&mut self, event: Option<Event>) {
        match event {
            Some(Event::Snapshot(snapshot)) => {
                self.keys = key_set(snapshot.keys.unwrap_or_default());
                self.revocations = snapshot
                    .revocations
                    .into_iter()
                    .filter_map(by_target)
                    .collect();
            }
            Some(Event::Keys(keys)) => self.keys = key_set(keys),
            Some(Event::Revocation(revocation)) => self.revocations.extend(by_target(revocation)),
            // Once a second, the revocations of tokens that have all expired are removed.
            Some(Event::Heartbeat(_)) | None => {
                let now = SystemClock.now().as_seconds();
                self.revocations
                    .retain(|_, revocation| revocation.expires_at > now);
            }
        }
    }
}

fn by_target(revocation: Revocation) -> Option<(Target, Revocation)> {
    Some((revocation.target.clone()?, revocation))
}

fn key_set(keys: Keys) -> KeySet {
    KeySet::new(
        keys.keys
            .into_iter()
            .map(|key| PublicKey {
                kid: key.kid,
                x: key.x,
            })
            .collect(),
    )
}
