//! Which tokens are good: keys and revocations as auth streams them, held in memory, so that checking a token costs no
//! call. Without the stream for too long, nothing is vouched for.

use std::{
    collections::HashMap,
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use arc_swap::ArcSwap;
use doorward_domain::{Gid, Timestamp};
use doorward_rpc::{
    Channel,
    auth::v1::{
        Revocation, WatchTrustRequest, WatchTrustResponse, auth_client::AuthClient,
        revocation::Target, watch_trust_response::Event,
    },
    channel::MAX_MESSAGE_BYTES,
};
use doorward_token::{CachingVerifier, Claims, KeySet, PublicKey};
use tokio_util::sync::CancellationToken;

/// Auth sends a heartbeat each second; without one for longer, the connection is given up.
const STREAM_TIMEOUT: Duration = Duration::from_secs(4);
const PAUSE: Duration = Duration::from_millis(300);
/// Revocations that cover nothing any more are dropped when the map has grown by so many.
const CLEANUP_THRESHOLD: usize = 1024;

pub(crate) struct Trust {
    verifier: CachingVerifier,
    keys: ArcSwap<KeySet>,
    /// Counts the changes of the keys.
    keys_generation: AtomicU64,
    revocations: RwLock<Revocations>,
    /// Every deactivation from before this time is known. None: auth has not answered yet.
    complete_until: RwLock<Option<Instant>>,
    /// How far back that may lie: after that, calls with a token are answered 503.
    max_age: Duration,
}

#[derive(Default)]
struct Revocations {
    by_subject: HashMap<Gid, RevocationCutoff>,
    by_sid: HashMap<String, RevocationCutoff>,
    swept_size: usize,
}

/// What comes from an earlier login is dead. In seconds since 1970.
#[derive(Clone, Copy)]
struct RevocationCutoff {
    not_before: i64,
    expires_at: i64,
}

/// Why there is no caller.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum TokenError {
    /// The token is not to be believed.
    Invalid,
    /// Auth hasn't been heard of: nobody can say.
    Unavailable,
}

impl Trust {
    pub(crate) fn new(issuer: &str, max_age: Duration) -> Self {
        Self {
            verifier: CachingVerifier::new(issuer),
            keys: ArcSwap::default(),
            keys_generation: AtomicU64::default(),
            revocations: RwLock::default(),
            complete_until: RwLock::default(),
            max_age,
        }
    }

    pub(crate) fn verify(&self, token: &str, now: Timestamp) -> Result<Claims, TokenError> {
        if !self.is_fresh() {
            return Err(TokenError::Unavailable);
        }
        let claims = self
            .verifier
            .verify(token, &self.keys.load(), now)
            .map_err(|refused| {
                tracing::debug!(%refused, "a token was refused");
                TokenError::Invalid
            })?;
        if self.is_revoked(&claims) {
            Err(TokenError::Invalid)
        } else {
            Ok(claims)
        }
    }

    /// Of claims that were believed before; the signature isn't looked at again.
    pub(crate) fn recheck(&self, claims: &Claims, now: Timestamp) -> Result<(), TokenError> {
        if !self.is_fresh() {
            return Err(TokenError::Unavailable);
        }
        if claims.exp <= now.as_seconds() || self.is_revoked(claims) {
            Err(TokenError::Invalid)
        } else {
            Ok(())
        }
    }

    pub(crate) fn is_fresh(&self) -> bool {
        self.revocations_known_until()
            .is_some_and(|until| until.elapsed() < self.max_age)
    }

    fn revocations_known_until(&self) -> Option<Instant> {
        *self
            .complete_until
            .read()
            .unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn keys_generation(&self) -> u64 {
        self.keys_generation.load(Ordering::Acquire)
    }

    pub(crate) fn public_keys(&self) -> Vec<PublicKey> {
        self.keys.load().public_keys().to_vec()
    }

    fn is_revoked(&self, claims: &Claims) -> bool {
        let revocations = self
            .revocations
            .read()
            .unwrap_or_else(PoisonError::into_inner);
        let cuts = [
            revocations.by_subject.get(&claims.sub),
            revocations.by_sid.get(&claims.sid),
        ];
        cuts.into_iter()
            .flatten()
            .any(|cut| claims.auth_time < cut.not_before)
    }

    /// Follows auth's stream until `shutdown`.
    pub(crate) async fn run(
        self: Arc<Self>,
        auth: Channel,
        now: impl Fn() -> Timestamp,
        shutdown: CancellationToken,
    ) {
        let mut logged_at = None;
        while !shutdown.is_cancelled() {
            tokio::select! {
                () = shutdown.cancelled() => {}
                ended = self.read_stream(auth.clone(), &now) => {
                    let until = Some(self.revocations_known_until());
                    if let Err(reason) = ended && logged_at != until {
                        tracing::warn!(reason, "auth is not heard of; trying on");
                        logged_at = until;
                    }
                }
            }
            tokio::select! {
                () = shutdown.cancelled() => {}
                () = tokio::time::sleep(PAUSE) => {}
            }
        }
    }

    async fn read_stream(&self, auth: Channel, now: &impl Fn() -> Timestamp) -> Result<(), String> {
        let mut client = AuthClient::new(auth).max_decoding_message_size(MAX_MESSAGE_BYTES);
        let mut stream = client
            .watch_trust(WatchTrustRequest {})
            .await
            .map_err(|status| format!("{:?}", status.code()))?
            .into_inner();
        loop {
            let next = tokio::time::timeout(STREAM_TIMEOUT, stream.message())
                .await
                .map_err(|_| "silence".to_owned())?;
            let Some(message) = next.map_err(|status| format!("{:?}", status.code()))? else {
                return Ok(());
            };
            // Auth's own knowledge has an age.
            let until = Instant::now().checked_sub(Duration::from_millis(message.age_milliseconds));
            self.apply_message(message, now());
            let mut complete_until = self
                .complete_until
                .write()
                .unwrap_or_else(PoisonError::into_inner);
            *complete_until = until.max(*complete_until);
        }
    }

    fn apply_message(&self, message: WatchTrustResponse, now: Timestamp) {
        let mut revocations = self
            .revocations
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        match message.event {
            Some(Event::Snapshot(snapshot)) => {
                self.set_keys(snapshot.keys.unwrap_or_default());
                *revocations = Revocations::default();
                for revocation in snapshot.revocations {
                    revocations.add(revocation, now);
                }
            }
            Some(Event::Keys(keys)) => self.set_keys(keys),
            Some(Event::Revocation(revocation)) => revocations.add(revocation, now),
            Some(Event::Heartbeat(_)) | None => {}
        }
    }

    fn set_keys(&self, keys: doorward_rpc::auth::v1::KeySet) {
        let keys = keys
            .keys
            .into_iter()
            .map(|key| PublicKey {
                kid: key.kid,
                x: key.x,
            })
            .collect();
        self.keys.store(Arc::new(KeySet::new(keys)));
        self.keys_generation.fetch_add(1, Ordering::Release);
    }
}

impl Revocations {
    fn add(&mut self, revocation: Revocation, now: Timestamp) {
        let cut = RevocationCutoff {
            not_before: revocation.not_before,
            expires_at: revocation.expires_at,
        };
        match revocation.target {
            Some(Target::Subject(gid)) => {
                if let Ok(gid) = gid.parse() {
                    self.by_subject.insert(gid, cut);
                }
            }
            Some(Target::Sid(sid)) => drop(self.by_sid.insert(sid, cut)),
            None => {}
        }
        if self.len() > self.swept_size + CLEANUP_THRESHOLD {
            self.by_subject
                .retain(|_, cut| cut.expires_at > now.as_seconds());
            self.by_sid
                .retain(|_, cut| cut.expires_at > now.as_seconds());
            self.swept_size = self.len();
        }
    }

    fn len(&self) -> usize {
        self.by_subject.len() + self.by_sid.len()
    }
}
