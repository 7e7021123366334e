//! The service of these tests, on one of the databases, with a clock that the tests set.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use doorward_auth::{
    Auth, Config, Credentials, Dependencies, HashingConfig, MIGRATIONS, Password, Sealer,
    ThrottleConfig,
};
use doorward_domain::{Clock, ErrorCode, Gid, IdGenerator, RandomIdGenerator, Timestamp};
use doorward_rpc::{
    Channel, Peer, RpcError, ServiceToken,
    auth::v1::{
        RenewTokenRequest, VerifyPasswordRequest, WatchTrustRequest, auth_client::AuthClient,
        watch_trust_response::Event,
    },
    server::Listeners,
};
use doorward_storage::testing::TestDatabase;
use doorward_token::{Claims, KeySet, PublicKey, Verifier};
use tokio_util::sync::CancellationToken;

use crate::quiet_directory::quiet_directory;

pub(crate) const START_SECONDS: i64 = 1_800_000_000;
pub(crate) const CHEAP: HashingConfig = HashingConfig {
    memory_kib: 64,
    passes: 1,
    lanes: 1,
    worker_threads: 1,
    max_queued: 64,
};

pub(crate) struct FixedClock(pub(crate) AtomicI64);

impl Clock for FixedClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(self.0.load(Ordering::SeqCst))
    }
}

impl FixedClock {
    pub(crate) fn advance(&self, by: Duration) {
        self.0
            .fetch_add(i64::try_from(by.as_micros()).unwrap(), Ordering::SeqCst);
    }
}

pub(crate) struct Fixture {
    pub(crate) test: TestDatabase,
    pub(crate) clock: Arc<FixedClock>,
    pub(crate) credentials: Credentials,
    pub(crate) client: AuthClient<Channel>,
    pub(crate) shutdown: CancellationToken,
}

pub(crate) fn config(hashing: HashingConfig) -> Config {
    Config {
        issuer: "doorward".to_owned(),
        token_lifetime: Duration::from_secs(3600),
        max_session_lifetime: Duration::from_secs(5400),
        trust_max_age: Duration::from_secs(10),
        hashing,
        password_min_chars: 8,
        requires_current_password: false,
        mail: None,
        throttle: ThrottleConfig {
            failures: 5,
            backoff: Duration::from_secs(1),
            backoff_max: Duration::from_secs(900),
        },
        audit_retention: Duration::from_secs(400 * 24 * 3600),
    }
}

pub(crate) fn sealer(byte: u8) -> Arc<Sealer> {
    Arc::new(Sealer::new(&vec![byte; 32].into()).unwrap())
}

pub(crate) fn no_directory() -> Channel {
    Peer::Url {
        url: "http://127.0.0.1:1".to_owned(),
        tls: None,
    }
    .connect(&ServiceToken::new(None))
    .unwrap()
}

pub(crate) async fn start(test: TestDatabase, hashing: HashingConfig) -> Fixture {
    start_with_config(test, config(hashing)).await
}

pub(crate) async fn start_with_config(test: TestDatabase, config: Config) -> Fixture {
    let clock = Arc::new(FixedClock(AtomicI64::new(
        START_SECONDS * 1_000_000 + 250_000,
    )));
    let shutdown = CancellationToken::new();
    let database = test.database.clone();
    let credentials =
        Credentials::new(database.clone(), clock.clone(), Arc::new(config.clone())).unwrap();
    let client = serve(&test, &clock, config, &shutdown).await;
    Fixture {
        test,
        clock,
        credentials,
        client,
        shutdown,
    }
}

/// Starts a process that follows a directory, and waits until it accepts tokens.
pub(crate) async fn serve(
    test: &TestDatabase,
    clock: &Arc<FixedClock>,
    config: Config,
    shutdown: &CancellationToken,
) -> AuthClient<Channel> {
    let mut client = serve_with_directory(test, clock, config, quiet_directory(), shutdown).await;
    while client.watch_trust(WatchTrustRequest {}).await.is_err() {
        tokio::task::yield_now().await;
    }
    client
}

pub(crate) async fn serve_with_directory(
    test: &TestDatabase,
    clock: &Arc<FixedClock>,
    config: Config,
    directory: Channel,
    shutdown: &CancellationToken,
) -> AuthClient<Channel> {
    let token = ServiceToken::new(Some("sixteen-characters".to_owned().into()));
    let deps = Dependencies {
        database: test.database.clone(),
        clock: clock.clone(),
        ids: Arc::new(RandomIdGenerator),
        sealer: sealer(7),
        directory,
    };
    let auth = Auth::start(deps, config, shutdown.clone()).await.unwrap();
    let (peer, incoming) = Peer::in_memory_pair();
    tokio::spawn(auth.serve(
        Listeners {
            tcp: None,
            in_memory: Some(incoming),
        },
        token.clone(),
    ));
    AuthClient::new(peer.connect(&token).unwrap())
}

pub(crate) async fn on_both_databases(hashing: HashingConfig) -> Vec<Fixture> {
    let mut fixtures = Vec::new();
    for test in TestDatabase::both(&MIGRATIONS) {
        fixtures.push(start(test, hashing).await);
    }
    fixtures
}

pub(crate) fn login(user: Option<Gid>, password: &str, at: Timestamp) -> VerifyPasswordRequest {
    VerifyPasswordRequest {
        user_gid: user.map(|user| user.to_string()),
        password: password.to_owned(),
        client_address: "192.0.2.1".to_owned(),
        user_checked_at: at.as_micros(),
        // Each user has a unique name, and so a separate count of failures.
        username: user.map(|user| user.to_string()).unwrap_or_default(),
        project_gid: None,
        is_login_allowed: user.is_some(),
    }
}

impl Drop for Fixture {
    fn drop(&mut self) {
        self.shutdown.cancel();
    }
}

impl Fixture {
    pub(crate) async fn user(&self, password: &str) -> Gid {
        let user = RandomIdGenerator.new_gid();
        let hash = self
            .credentials
            .hash_new_password(Password::parse(password).unwrap())
            .await
            .unwrap();
        self.credentials
            .insert_hashes(vec![(user, hash)])
            .await
            .unwrap();
        user
    }

    pub(crate) async fn log_in(
        &self,
        user: Option<Gid>,
        password: &str,
    ) -> Result<String, RpcError> {
        self.log_in_checked_at(user, password, self.clock.now())
            .await
    }

    pub(crate) async fn log_in_checked_at(
        &self,
        user: Option<Gid>,
        password: &str,
        at: Timestamp,
    ) -> Result<String, RpcError> {
        let request = login(user, password, at);
        Ok(self
            .client
            .clone()
            .verify_password(request)
            .await?
            .into_inner()
            .token)
    }

    /// Starts another process on the same database.
    pub(crate) async fn second(&self) -> AuthClient<Channel> {
        serve(&self.test, &self.clock, config(CHEAP), &self.shutdown).await
    }

    pub(crate) async fn renew(&self, token: &str) -> Result<String, RpcError> {
        Ok(self
            .client
            .clone()
            .renew_token(RenewTokenRequest {
                token: token.to_owned(),
            })
            .await?
            .into_inner()
            .token)
    }

    pub(crate) async fn keys(&self) -> KeySet {
        let mut trust = self
            .client
            .clone()
            .watch_trust(WatchTrustRequest {})
            .await
            .unwrap()
            .into_inner();
        let Some(Event::Snapshot(snapshot)) = trust.message().await.unwrap().unwrap().event else {
            panic!("no snapshot")
        };
        let keys = snapshot.keys.unwrap().keys;
        KeySet::new(
            keys.into_iter()
                .map(|key| PublicKey {
                    kid: key.kid,
                    x: key.x,
                })
                .collect(),
        )
    }

    pub(crate) async fn claims(&self, token: &str) -> Claims {
        Verifier::new("doorward")
            .verify(token, &self.keys().await, self.clock.now())
            .unwrap()
    }
}

pub(crate) fn code<T: std::fmt::Debug>(answer: Result<T, RpcError>) -> ErrorCode {
    answer.unwrap_err().code
}
