//! What this process knows of keys and revocations, kept in step with the database, and told to those who listen.

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
    Error, Sealer, store,
    tokens::{
        revocation::{Revocation, RevocationTarget},
        signing_keys::{KeyState, SigningKey},
    },
};

/// How often the database is asked for changes by other processes.
const POLL_INTERVAL: Duration = Duration::from_millis(200);
/// How often keys and revocations that have run out are dropped.
const CLEANUP_INTERVAL: Duration = Duration::from_secs(60);
/// Without news from the database for longer, this process vouches for nothing.
const MAX_STALENESS: Duration = Duration::from_secs(3);

#[derive(Debug, Clone)]
pub(crate) enum TrustEvent {
    Keys(Vec<PublicKey>),
    Revoked(Revocation),
}

pub(crate) struct TrustStore {
    database: Database,
    clock: Arc<dyn Clock>,
    sealer: Arc<Sealer>,
    state: RwLock<TrustState>,
    events: broadcast::Sender<TrustEvent>,
    /// One refresh at a time.
    refreshing: tokio::sync::Mutex<()>,
    /// How old the knowledge of the directory's feed may be.
    max_age: Duration,
}

struct TrustState {
    version: i64,
    signer: Option<Signer>,
    keys: Arc<KeySet>,
    revocations: HashMap<RevocationTarget, Revocation>,
    refreshed_at: Instant,
    /// Every deactivation that was committed before this time is known. None: nothing is known yet.
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

    pub(crate) fn signer(&self) -> Option<Signer> {
        self.with_state(|state| state.signer.clone())
    }

    pub(crate) fn keys(&self) -> Arc<KeySet> {
        self.with_state(|state| state.keys.clone())
    }

    pub(crate) fn is_revoked(&self, claims: &Claims) -> bool {
        self.with_state(|state| {
            [
                RevocationTarget::Subject(claims.sub),
                RevocationTarget::Sid(claims.sid.clone()),
            ]
            .iter()
            .any(|covers| {
                state
                    .revocations
                    .get(covers)
                    .is_some_and(|revocation| claims.auth_time < revocation.not_before_seconds)
            })
        })
    }

    /// Whether tokens can be vouched for: the database was read lately, and the directory's feed was followed to its end.
    pub(crate) fn is_fresh(&self) -> bool {
        let is_current = self.with_state(|state| state.refreshed_at.elapsed() < MAX_STALENESS);
        is_current && self.age().is_some_and(|age| age < self.max_age)
    }

    /// The time since the moment up to which every deactivation is known. None: nothing is known yet.
    pub(crate) fn age(&self) -> Option<Duration> {
        self.with_state(|state| state.revocations_known_until.map(|until| until.elapsed()))
    }

    /// Notes that every deactivation that was committed before this time is known.
    pub(crate) fn set_complete_until(&self, until: Instant) {
        self.with_state_mut(|state| {
            state.revocations_known_until = state.revocations_known_until.max(Some(until))
        });
    }

    /// What comes from now on, and what is there: in this order, so that nothing falls between.
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

    /// Takes over what has changed in the database.
    pub(crate) async fn refresh(&self) -> Result<(), Error> {
        self.refresh_when(|known, version| known != version).await
    }

    /// Keeps in step until `shutdown`.
    pub(crate) async fn run(&self, shutdown: CancellationToken) {
        let mut swept_at = Instant::now();
        while !shutdown.is_cancelled() {
            if swept_at.elapsed() >= CLEANUP_INTERVAL {
                swept_at = Instant::now();
                log_error(
                    "can't drop expired keys and revocations",
                    self.remove_expired().await,
                );
            }
            log_error("can't learn of keys and revocations", self.refresh().await);
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
                .retain(|_, revocation| revocation.expires_at_seconds >= now.as_seconds())
        });
        self.database
            .write(move |connection| {
                Ok::<_, Error>(store::revocation::delete_expired(connection, now)?)
            })
            .await?;
        self.refresh_when(|_, _| true).await
    }

    async fn refresh_when(&self, is_due: impl Fn(i64, i64) -> bool) -> Result<(), Error> {
        let _one = self.refreshing.lock().await;
        let known = self.with_state(|state| state.version);
        if !is_due(known, self.database.query(store::trust_version::get).await?) {
            self.with_state_mut(|state| state.refreshed_at = Instant::now());
            return Ok(());
        }
        let news = self
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
        let (version, keys, revocations) = news;
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
        let signs_already = self.with_state(|state| {
            state
                .signer
                .as_ref()
                .map(|signer| signer.public_key().kid.clone())
        });
        let signer = match active {
            Some(key) if signs_already.as_ref() != Some(&key.kid) => {
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
        // Nobody listening is no error.
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

fn log_error(what: &str, done: Result<(), Error>) {
    if let Err(error) = done {
        tracing::warn!(%error, "{what}");
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicI64, Ordering};

    use doorward_domain::{Gid, IdGenerator, RandomIdGenerator};
    use doorward_storage::{AnyConnection, testing::TestDatabase};
    use doorward_token::{AUDIENCE, TokenKind};

    use super::*;
    use crate::{MIGRATIONS, tokens::revocation};

    /// Shows these seconds.
    struct FixedClock(AtomicI64);

    impl Clock for FixedClock {
        fn now(&self) -> Timestamp {
            Timestamp::from_seconds(self.0.load(Ordering::SeqCst))
        }
    }

    /// A process over a database of its own, at second 10.
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

    /// Revokes the tokens that the user has at a second. A token is valid for a minute.
    async fn revoke(test: &TestDatabase, user: Gid, second: i64) {
        let write = move |connection: &mut AnyConnection| {
            let covered = vec![(
                RevocationTarget::Subject(user),
                Timestamp::from_seconds(second),
            )];
            revocation::revoke(connection, covered, Duration::from_secs(60))
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

    /// A sweep is a write: it must not come with each of the polls.
    #[tokio::test]
    async fn polls_between_two_sweeps_drop_nothing() {
        let (test, clock, trust) = start();
        revoke(&test, Gid::NIL, 10).await;
        trust.refresh().await.unwrap();
        clock.0.store(132, Ordering::SeqCst);
        let shutdown = CancellationToken::new();
        let following = tokio::spawn({
            let (trust, shutdown) = (trust.clone(), shutdown.clone());
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
            "it has expired, and is dropped by the next sweep"
        );
        shutdown.cancel();
        following.await.unwrap();
    }
}
