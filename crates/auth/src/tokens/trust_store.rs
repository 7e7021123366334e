//! In-memory copy of the keys and revocations in the database, which verifies tokens without a
//! query, and sends changes to the streams of other services. It polls the trust version, a counter
//! that every change of keys and revocations increments.
//!
//! Example: this process knows version 7, and another one revokes the tokens of ann and ben.
//!
//! 1. Each of the two transactions increments the version under its lock, so 8 is visible before 9.
//! 2. The next poll, at most 200 ms later, reads 9, which differs from 7.
//! 3. One snapshot reads the version (9), all keys, and the revocations with a version above 7:
//!    both. With several queries, the version could claim more than was read, and a revocation be
//!    skipped.
//! 4. They are stored in memory first, and then sent to the streams. A stream that starts in
//!    between subscribes first and copies the state second, so it can see a revocation twice, but
//!    never miss it.
//!
//! The copy is only used while it is fresh: the database was read in the last 3 s, and the
//! directory's feed was applied up to a moment less than `trust_max_age` ago. Otherwise a
//! revocation may be missing, and no token is accepted.

use std::{
    collections::HashMap,
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use doorward_domain::{Clock, Timestamp};
use doorward_storage::Database;
use doorward_token::{Claims, KeySet, PublicKey, Signer};
use tokio::{sync::broadcast, time::Instant};
use tokio_util::sync::CancellationToken;

use crate::{
    error::Error,
    model::{KeyState, Revocation, RevocationTarget, SigningKey},
    sealing::Sealer,
    store,
};

/// Pause between two polls of the database for changes by other processes.
const POLL_INTERVAL: Duration = Duration::from_millis(200);
/// Interval in which expired keys and revocations are removed.
const CLEANUP_INTERVAL: Duration = Duration::from_secs(60);
/// Maximum time since the last successful poll. Without one, this process accepts no token.
const MAX_STALENESS: Duration = Duration::from_secs(3);

/// A change of trust data, for the streams.
#[derive(Debug, Clone)]
pub(crate) enum TrustEvent {
    Keys(Vec<PublicKey>),
    Revoked(Revocation),
}

/// The trust data of this process.
pub(crate) struct TrustStore {
    database: Database,
    clock: Arc<dyn Clock>,
    sealer: Arc<Sealer>,
    state: RwLock<TrustState>,
    events: broadcast::Sender<TrustEvent>,
    /// Lets one refresh run at a time.
    refreshing: tokio::sync::Mutex<()>,
    /// Maximum age of the knowledge of the directory's feed.
    max_age: Duration,
}

struct TrustState {
    /// Trust version of this state; -1 before the first refresh.
    version: i64,
    signer: Option<Signer>,
    keys: Arc<KeySet>,
    revocations: HashMap<RevocationTarget, Revocation>,
    /// Time of the last successful poll.
    refreshed_at: Instant,
    /// Every deactivation that was committed before this time is known. None before the first
    /// measurement.
    revocations_known_until: Option<Instant>,
}

impl TrustStore {
    pub(crate) fn new(
        database: Database,
        clock: Arc<dyn Clock>,
        sealer: Arc<Sealer>,
        max_age: Duration,
    ) -> Self {
        let (events, _) = broadcast::channel(1024);
        let state = TrustState {
            version: -1,
            signer: None,
            keys: Arc::default(),
            revocations: HashMap::new(),
            refreshed_at: Instant::now(),
            revocations_known_until: None,
        };
        let refreshing = tokio::sync::Mutex::default();
        Self {
            database,
            clock,
            sealer,
            state: RwLock::new(state),
            events,
            refreshing,
            max_age,
        }
    }

    /// Returns the signer with the active key. None before the first refresh.
    pub(crate) fn signer(&self) -> Option<Signer> {
        self.with_state(|state| state.signer.clone())
    }

    /// Returns the keys that verify tokens.
    pub(crate) fn keys(&self) -> Arc<KeySet> {
        self.with_state(|state| state.keys.clone())
    }

    /// Returns whether a revocation of the subject or of the login covers the token.
    pub(crate) fn is_revoked(&self, claims: &Claims) -> bool {
        self.with_state(|state| {
            [
                RevocationTarget::Subject(claims.sub),
                RevocationTarget::Sid(claims.sid.clone()),
            ]
            .iter()
            .any(|target| {
                state
                    .revocations
                    .get(target)
                    .is_some_and(|revocation| claims.auth_time < revocation.not_before_seconds)
            })
        })
    }

    /// Returns whether all revocations are known: the database was read recently, and the
    /// directory's feed was applied up to a recent moment.
    pub(crate) fn is_fresh(&self) -> bool {
        let is_current = self.with_state(|state| state.refreshed_at.elapsed() < MAX_STALENESS);
        is_current && self.age().is_some_and(|age| age < self.max_age)
    }

    /// Returns the time since the moment up to which every deactivation is known. None before the
    /// first measurement.
    pub(crate) fn age(&self) -> Option<Duration> {
        self.with_state(|state| state.revocations_known_until.map(|until| until.elapsed()))
    }

    /// Records that every deactivation that was committed before this time is known. An earlier
    /// time than before changes nothing.
    pub(crate) fn set_complete_until(&self, until: Instant) {
        self.with_state_mut(|state| {
            state.revocations_known_until = state.revocations_known_until.max(Some(until));
        });
    }

    /// Returns a receiver of future changes, and the current keys and revocations. It subscribes
    /// first, so no change is lost between the two.
    pub(crate) fn subscribe(
        &self,
    ) -> (
        broadcast::Receiver<TrustEvent>,
        Vec<PublicKey>,
        Vec<Revocation>,
    ) {
        let events = self.events.subscribe();
        let (keys, revocations) = self.with_state(|state| {
            (
                state.keys.public_keys().to_vec(),
                state.revocations.values().cloned().collect(),
            )
        });
        (events, keys, revocations)
    }

    /// Loads the changes in the database, if there are any.
    ///
    /// # Errors
    /// Database errors, and [`Error::Seal`] if the master key does not open a new active key.
    pub(crate) async fn refresh(&self) -> Result<(), Error> {
        self.refresh_when(|known, version| known != version).await
    }

    /// Polls the database until `shutdown`.
    pub(crate) async fn run(&self, shutdown: CancellationToken) {
        let mut cleaned_up_at = Instant::now();
        while !shutdown.is_cancelled() {
            if cleaned_up_at.elapsed() >= CLEANUP_INTERVAL {
                cleaned_up_at = Instant::now();
                log_error(
                    "failed to remove expired keys and revocations; retrying in a minute",
                    self.remove_expired().await,
                );
            }
            log_error(
                "failed to load keys and revocations; tokens are rejected after 3 s without success",
                self.refresh().await,
            );
            tokio::select! {
                () = shutdown.cancelled() => {}
                () = tokio::time::sleep(POLL_INTERVAL) => {}
            }
        }
    }

    async fn remove_expired(&self) -> Result<(), Error> {
        let now = self.clock.now();
        self.with_state_mut(|state| {
            state
                .revocations
                .retain(|_, revocation| revocation.expires_at_seconds >= now.as_seconds());
        });
        self.database
            .write(move |connection| {
                Ok::<_, Error>(store::revocation::delete_expired(connection, now)?)
            })
            .await?;
        // Keys expire without a change of the version, so they are reloaded in any case.
        self.refresh_when(|_, _| true).await
    }

    async fn refresh_when(&self, is_due: impl Fn(i64, i64) -> bool) -> Result<(), Error> {
        let _guard = self.refreshing.lock().await;
        let known = self.with_state(|state| state.version);
        if !is_due(known, self.database.query(store::trust_version::get).await?) {
            self.with_state_mut(|state| state.refreshed_at = Instant::now());
            return Ok(());
        }
        let (version, keys, revocations) = self
            .database
            .read_snapshot(move |connection| {
                let version = store::trust_version::get(connection)?;
                let keys = store::signing_key::list(connection)?;
                Ok::<_, Error>((
                    version,
                    keys,
                    store::revocation::list_after(connection, known)?,
                ))
            })
            .await?;
        self.apply(version, &keys, revocations)?;
        self.with_state_mut(|state| state.refreshed_at = Instant::now());
        Ok(())
    }

    fn apply(
        &self,
        version: i64,
        keys: &[SigningKey],
        revocations: Vec<Revocation>,
    ) -> Result<(), Error> {
        let now: Timestamp = self.clock.now();
        let public: Vec<PublicKey> = keys
            .iter()
            .filter(|key| key.can_verify_at(now))
            .filter_map(SigningKey::to_public)
            .collect();
        let active = keys.iter().find(|key| key.state == KeyState::Active);
        let active_kid = self.with_state(|state| {
            state
                .signer
                .as_ref()
                .map(|signer| signer.public_key().kid.clone())
        });
        let signer = match active {
            // Unsealed only once: the master key may be replaced while this process runs.
            Some(key) if active_kid.as_ref() != Some(&key.kid) => {
                Some(key.to_signer(&self.sealer)?)
            }
            _ => None,
        };
        let keys_changed = self.with_state_mut(|state| {
            state.version = version;
            state.signer = signer.or(state.signer.take());
            for revocation in &revocations {
                state
                    .revocations
                    .insert(revocation.target.clone(), revocation.clone());
            }
            let keys_changed = state.keys.public_keys() != public;
            if keys_changed {
                state.keys = Arc::new(KeySet::new(public.clone()));
            }
            keys_changed
        });
        // Sending fails if there are no streams, which is not an error.
        if keys_changed {
            drop(self.events.send(TrustEvent::Keys(public)));
        }
        for revocation in revocations {
            drop(self.events.send(TrustEvent::Revoked(revocation)));
        }
        Ok(())
    }

    fn with_state<T>(&self, get: impl FnOnce(&TrustState) -> T) -> T {
        get(&self.state.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn with_state_mut<T>(&self, set: impl FnOnce(&mut TrustState) -> T) -> T {
        set(&mut self.state.write().unwrap_or_else(PoisonError::into_inner))
    }
}

fn log_error(message: &str, result: Result<(), Error>) {
    if let Err(error) = result {
        tracing::warn!(%error, "{message}");
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicI64, Ordering};

    use doorward_domain::{Gid, IdGenerator, RandomIdGenerator};
    use doorward_storage::{AnyConnection, testing::TestDatabase};
    use doorward_token::{AUDIENCE, TokenKind};

    use super::*;
    use crate::{migrations::MIGRATIONS, tokens::revocation};

    /// A clock that shows a number of seconds set by the test.
    struct FixedClock(AtomicI64);

    impl Clock for FixedClock {
        fn now(&self) -> Timestamp {
            Timestamp::from_seconds(self.0.load(Ordering::SeqCst))
        }
    }

    /// Creates a trust store with its own database, at second 10.
    fn start() -> (TestDatabase, Arc<FixedClock>, Arc<TrustStore>) {
        let test = TestDatabase::sqlite(&MIGRATIONS);
        let clock = Arc::new(FixedClock(AtomicI64::new(10)));
        let sealer = Arc::new(Sealer::new(&vec![7; 32].into()).unwrap());
        let trust = TrustStore::new(
            test.database.clone(),
            clock.clone(),
            sealer,
            Duration::from_secs(10),
        );
        (test, clock, Arc::new(trust))
    }

    /// Revokes the tokens of the user at a second. A token is valid for a minute.
    async fn revoke(test: &TestDatabase, user: Gid, second: i64) {
        let write = move |connection: &mut AnyConnection| {
            let targets = vec![(
                RevocationTarget::Subject(user),
                Timestamp::from_seconds(second),
            )];
            revocation::revoke(connection, targets, Duration::from_secs(60))
        };
        test.database.write(write).await.unwrap();
    }

    /// Returns the claims of a token that was issued at second 10.
    fn claims(user: Gid) -> Claims {
        Claims {
            iss: "doorward".to_owned(),
            aud: AUDIENCE.to_owned(),
            sub: user,
            iat: 10,
            exp: 70,
            jti: "j".to_owned(),
            sid: "s".to_owned(),
            auth_time: 10,
            kind: TokenKind::User,
            project: None,
            nbf: None,
        }
    }

    #[tokio::test]
    async fn trust_store_keeps_a_revocation_until_its_last_token_expires() {
        let (test, clock, trust) = start();
        revoke(&test, Gid::NIL, 10).await;
        trust.refresh().await.unwrap();
        for (second, is_revoked) in [(10, true), (131, true), (132, false)] {
            clock.0.store(second, Ordering::SeqCst);
            trust.remove_expired().await.unwrap();
            assert_eq!(trust.is_revoked(&claims(Gid::NIL)), is_revoked, "{second}");
        }
    }

    /// The removal is a write, so it must not run with every poll.
    #[tokio::test]
    async fn polls_between_two_cleanups_remove_nothing() {
        let (test, clock, trust) = start();
        revoke(&test, Gid::NIL, 10).await;
        trust.refresh().await.unwrap();
        clock.0.store(132, Ordering::SeqCst);
        let shutdown = CancellationToken::new();
        let following = tokio::spawn({
            let trust = trust.clone();
            let shutdown = shutdown.clone();
            async move { trust.run(shutdown).await }
        });
        let later = RandomIdGenerator.new_gid();
        revoke(&test, later, 132).await;
        let polled = async {
            while !trust.is_revoked(&claims(later)) {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(10), polled)
            .await
            .unwrap();
        assert!(
            trust.is_revoked(&claims(Gid::NIL)),
            "it has expired, and the next cleanup removes it"
        );
        shutdown.cancel();
        following.await.unwrap();
    }
}
