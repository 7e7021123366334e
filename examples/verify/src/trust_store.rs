//! Which tokens are good: keys and revocations as auth streams them, in memory. Yours to take over as it is.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use doorward_domain::{Clock, SystemClock};
use doorward_rpc::{
    Channel,
    auth::v1::{
        KeySet as Keys, Revocation, WatchTrustRequest, auth_client::AuthClient, revocation::Target,
        watch_trust_response::Event,
    },
    channel::MAX_MESSAGE_BYTES,
};
use doorward_token::{CachingVerifier, Claims, KeySet, PublicKey};
use tokio::{sync::watch, time::timeout};
use tonic::Status;

/// Auth sends something each second. After this long without, the connection is given up and made anew.
const STREAM_TIMEOUT: Duration = Duration::from_secs(4);
/// After this long, nobody can say which tokens were revoked meanwhile.
const MAX_STALENESS: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(500);

pub(crate) enum TokenError {
    /// The token is not to be believed.
    Invalid,
    /// Auth hasn't been heard of: nobody can say.
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
    heard_at: Option<Instant>,
}

impl Trust {
    /// Follows auth's stream, for as long as there is a `Trust`.
    pub(crate) fn start(auth: Channel, issuer: &str) -> Self {
        let (sender, known) = watch::channel(Known::default());
        tokio::spawn(async move {
            while !sender.is_closed() {
                if let Err(status) = listen(&auth, &sender).await {
                    tracing::warn!(code = ?status.code(), "auth is not heard of; trying on");
                }
                tokio::time::sleep(PAUSE).await;
            }
        });
        Self {
            verifier: Arc::new(CachingVerifier::new(issuer)),
            known,
        }
    }

    pub(crate) fn check(&self, token: &str) -> Result<Claims, TokenError> {
        let known = self.known.borrow();
        if known
            .heard_at
            .is_none_or(|heard_at| heard_at.elapsed() >= MAX_STALENESS)
        {
            return Err(TokenError::Unavailable);
        }
        let claims = self
            .verifier
            .verify(token, &known.keys, SystemClock.now())
            .map_err(|_| TokenError::Invalid)?;
        let covers = [
            Target::Subject(claims.sub.to_string()),
            Target::Sid(claims.sid.clone()),
        ];
        let mut revocations = covers
            .iter()
            .filter_map(|covers| known.revocations.get(covers));
        let is_revoked = revocations.any(|revocation| claims.auth_time < revocation.not_before);
        if is_revoked {
            Err(TokenError::Invalid)
        } else {
            Ok(claims)
        }
    }
}

async fn listen(auth: &Channel, known: &watch::Sender<Known>) -> Result<(), Status> {
    let mut client = AuthClient::new(auth.clone()).max_decoding_message_size(MAX_MESSAGE_BYTES);
    let mut stream = client.watch_trust(WatchTrustRequest {}).await?.into_inner();
    loop {
        let next = timeout(STREAM_TIMEOUT, stream.message())
            .await
            .map_err(|_| Status::unavailable("silence"))?;
        let Some(message) = next? else { return Ok(()) };
        known.send_modify(|known| {
            known.apply(message.event);
            known.heard_at = Some(Instant::now());
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
                    .filter_map(by_covers)
                    .collect();
            }
            Some(Event::Keys(keys)) => self.keys = key_set(keys),
            Some(Event::Revocation(revocation)) => self.revocations.extend(by_covers(revocation)),
            // Each second: time to forget what covers no living token.
            Some(Event::Heartbeat(_)) | None => {
                let now = SystemClock.now().as_seconds();
                self.revocations
                    .retain(|_, revocation| revocation.expires_at > now);
            }
        }
    }
}

fn by_covers(revocation: Revocation) -> Option<(Target, Revocation)> {
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
