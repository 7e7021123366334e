//! The trust data of the gateway: public keys and revocations, which auth streams (`WatchTrust`),
//! held in memory so that no call is needed to verify a token. It knows neither HTTP nor how tokens
//! are issued.
//!
//! A token is checked in this order, and the first check that fails decides:
//!
//! 1. The trust data is at most `trust_max_age` old. Otherwise: [`TokenError::Unavailable`], for
//!    any token, even garbage. This check is the first because the other two can be wrong without
//!    it: a token that a new key signed would be rejected as invalid, and its user would be logged
//!    out.
//! 2. Signature and claims ([`CachingVerifier`]). Otherwise: [`TokenError::Invalid`].
//! 3. No revocation of the subject or of the login covers it. Otherwise: [`TokenError::Invalid`].
//!
//! Example with `trust_max_age` = 10 s, and times in seconds. User U logs in at 1000: a token with
//! `sub` U, `sid` S, `auth_time` 1000.
//!
//! - At 1050 U changes the password. Auth streams `{subject: U, not_before: 1050}`. The token is
//!   invalid, because 1000 < 1050. So is every renewal of it, because renewals keep `auth_time`.
//!   The token of a new login, with `auth_time` 1050, is valid.
//! - At 1100 auth sends its last message, with an age of 3 s, and stops: the directory was slow, so
//!   a deactivation of the last 3 s may be missing. The trust data is complete until 1097.
//! - Until 1107 tokens are checked with the data in memory. From 1107 on, every check returns
//!   `Unavailable`, since a revocation may be missing.
//! - At 1120 auth is back and sends a snapshot with an age of 0 s. It replaces all keys and
//!   revocations, the trust data is complete until 1120, and tokens are checked again.

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
    Channel, NextMessageError,
    auth::v1::{
        Revocation, WatchTrustRequest, WatchTrustResponse, auth_client::AuthClient,
        revocation::Target, watch_trust_response::Event,
    },
    channel::MAX_MESSAGE_BYTES,
    next_message,
};
use doorward_token::{CachingVerifier, Claims, KeySet, PublicKey};
use tokio_util::sync::CancellationToken;

/// Time without a message after which the stream is dropped. Auth sends a heartbeat each second.
const STREAM_TIMEOUT: Duration = Duration::from_secs(4);
/// Time between the end of a stream and the next attempt to connect.
const RECONNECT_DELAY: Duration = Duration::from_millis(300);
/// Number of new revocations after which expired ones are removed.
const CLEANUP_THRESHOLD: usize = 1024;

/// Copy of the trust data of auth.
pub(crate) struct TrustStore {
    verifier: CachingVerifier,
    keys: ArcSwap<KeySet>,
    /// Counter of changes to the keys.
    keys_generation: AtomicU64,
    revocations: RwLock<Revocations>,
    /// Time up to which the revocations are complete: every earlier deactivation is known. `None`
    /// until the first message from auth.
    complete_until: RwLock<Option<Instant>>,
    /// Maximum age of `complete_until`.
    max_age: Duration,
}

#[derive(Default)]
struct Revocations {
    by_subject: HashMap<Gid, RevocationCutoff>,
    by_sid: HashMap<String, RevocationCutoff>,
    /// Number of revocations after the last removal of expired ones.
    size_after_cleanup: usize,
}

/// Times of a revocation, in seconds since 1970. It covers tokens whose `auth_time` is before
/// `not_before`; from `expires_at` on, all of these have expired anyway.
#[derive(Clone, Copy)]
struct RevocationCutoff {
    not_before: i64,
    expires_at: i64,
}

/// Reason why a token is not accepted.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum TokenError {
    /// The token is malformed, expired, revoked, or not signed by auth.
    Invalid,
    /// The trust data is missing or too old, so the token cannot be checked.
    Unavailable,
}

impl TrustStore {
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

    /// Verifies a token and returns its claims.
    ///
    /// # Errors
    /// [`TokenError::Unavailable`] if the trust data is too old, otherwise [`TokenError::Invalid`].
    pub(crate) fn verify(&self, token: &str, now: Timestamp) -> Result<Claims, TokenError> {
        if !self.is_fresh() {
            return Err(TokenError::Unavailable);
        }
        let claims = self
            .verifier
            .verify(token, &self.keys.load(), now)
            .map_err(|reason| {
                tracing::debug!(%reason, "rejected a token");
                TokenError::Invalid
            })?;
        if self.is_revoked(&claims) {
            Err(TokenError::Invalid)
        } else {
            Ok(claims)
        }
    }

    /// Checks claims that were verified before. It does not check the signature again, and is
    /// cheap: sockets call it several times per second.
    ///
    /// # Errors
    /// The same as for [`Self::verify`].
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

    /// Returns whether the trust data is recent enough to check tokens.
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

    /// Returns a number that changes with every change of the public keys.
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
        let cutoffs = [
            revocations.by_subject.get(&claims.sub),
            revocations.by_sid.get(&claims.sid),
        ];
        cutoffs
            .into_iter()
            .flatten()
            .any(|cutoff| claims.auth_time < cutoff.not_before)
    }

    /// Reads the stream of auth until `shutdown`, and connects again when it ends.
    pub(crate) async fn run(
        &self,
        auth: Channel,
        now: impl Fn() -> Timestamp,
        shutdown: CancellationToken,
    ) {
        let mut logged_at = None;
        while !shutdown.is_cancelled() {
            tokio::select! {
                () = shutdown.cancelled() => {}
                ended = self.read_stream(auth.clone(), &now) => {
                    // One warning per outage: `until` advances only when a message arrives.
                    let until = Some(self.revocations_known_until());
                    if let Err(reason) = ended && logged_at != until {
                        tracing::warn!(
                            reason,
                            "lost the trust stream of auth; after trust_max_age, calls with a \
                             token are answered with 503; reconnecting"
                        );
                        logged_at = until;
                    }
                }
            }
            tokio::select! {
                () = shutdown.cancelled() => {}
                () = tokio::time::sleep(RECONNECT_DELAY) => {}
            }
        }
    }

    /// Applies the messages of one stream until it ends.
    async fn read_stream(&self, auth: Channel, now: &impl Fn() -> Timestamp) -> Result<(), String> {
        let mut client = AuthClient::new(auth).max_decoding_message_size(MAX_MESSAGE_BYTES);
        let mut stream = client
            .watch_trust(WatchTrustRequest {})
            .await
            .map_err(|status| format!("{:?}", status.code()))?
            .into_inner();
        while let Some(message) = next_message(&mut stream, STREAM_TIMEOUT)
            .await
            .map_err(describe)?
        {
            // Auth follows the directory, so its data has an age of its own, which the message
            // states.
            let until = Instant::now().checked_sub(Duration::from_millis(message.age_milliseconds));
            // First the message, then the time: a check in between must not count as complete
            // without the revocations of the message.
            self.apply_message(message, now());
            let mut complete_until = self
                .complete_until
                .write()
                .unwrap_or_else(PoisonError::into_inner);
            *complete_until = until.max(*complete_until);
        }
        Ok(())
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

/// Returns the reason for the log.
fn describe(error: NextMessageError) -> String {
    match error {
        NextMessageError::Timeout => format!("no message within {STREAM_TIMEOUT:?}"),
        NextMessageError::Status(status) => format!("{:?}", status.code()),
    }
}

impl Revocations {
    /// Adds a revocation. When the maps have grown enough, it also removes expired revocations, so
    /// that the cost of this is spread over many additions.
    fn add(&mut self, revocation: Revocation, now: Timestamp) {
        let cutoff = RevocationCutoff {
            not_before: revocation.not_before,
            expires_at: revocation.expires_at,
        };
        match revocation.target {
            Some(Target::Subject(gid)) => {
                if let Ok(gid) = gid.parse() {
                    self.by_subject.insert(gid, cutoff);
                }
            }
            Some(Target::Sid(sid)) => drop(self.by_sid.insert(sid, cutoff)),
            None => {}
        }
        if self.len() > self.size_after_cleanup + CLEANUP_THRESHOLD {
            self.by_subject
                .retain(|_, cutoff| cutoff.expires_at > now.as_seconds());
            self.by_sid
                .retain(|_, cutoff| cutoff.expires_at > now.as_seconds());
            self.size_after_cleanup = self.len();
        }
    }

    fn len(&self) -> usize {
        self.by_subject.len() + self.by_sid.len()
    }
}
