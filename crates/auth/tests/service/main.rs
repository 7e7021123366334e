//! Tests of auth through its gRPC service, on both databases, with a clock that the tests set.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "tests stop at the first failure"
)]

mod code_requests;
mod codes;
mod feed_age;
mod maintenance;
mod quiet_directory;
mod throttle;
mod tokens;

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use doorward_auth::{
    Auth, Config, Credentials, Dependencies, Error, HashingConfig, KeyState, Keys, MIGRATIONS,
    Password, Sealer, ThrottleConfig, audit::Origin,
};
use doorward_domain::{Clock, ErrorCode, Gid, IdGenerator, RandomIdGenerator, Timestamp};
use doorward_rpc::{
    Channel, Peer, RpcError, ServiceToken,
    auth::v1::{
        RenewTokenRequest, VerifyPasswordRequest, WatchTrustRequest, auth_client::AuthClient,
        revocation::Target, watch_trust_response::Event,
    },
    server::Listeners,
};
use doorward_storage::{AnyConnection, testing::TestDatabase};
use doorward_token::{Claims, KeySet, PublicKey, Verifier};
use quiet_directory::quiet_directory;
use tokio_util::sync::CancellationToken;

const START_SECONDS: i64 = 1_800_000_000;
const CHEAP: HashingConfig = HashingConfig {
    memory_kib: 64,
    passes: 1,
    lanes: 1,
    worker_threads: 1,
    max_queued: 64,
};

struct FixedClock(AtomicI64);

impl Clock for FixedClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(self.0.load(Ordering::SeqCst))
    }
}

impl FixedClock {
    fn advance(&self, by: Duration) {
        self.0
            .fetch_add(i64::try_from(by.as_micros()).unwrap(), Ordering::SeqCst);
    }
}

struct Fixture {
    test: TestDatabase,
    clock: Arc<FixedClock>,
    credentials: Credentials,
    client: AuthClient<Channel>,
    shutdown: CancellationToken,
}

fn config(hashing: HashingConfig) -> Config {
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

fn sealer(byte: u8) -> Arc<Sealer> {
    Arc::new(Sealer::new(&vec![byte; 32].into()).unwrap())
}

fn no_directory() -> Channel {
    Peer::Url {
        url: "http://127.0.0.1:1".to_owned(),
        tls: None,
    }
    .connect(&ServiceToken::new(None))
    .unwrap()
}

async fn start(test: TestDatabase, hashing: HashingConfig) -> Fixture {
    start_with_config(test, config(hashing)).await
}

async fn start_with_config(test: TestDatabase, config: Config) -> Fixture {
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
async fn serve(
    test: &TestDatabase,
    clock: &Arc<FixedClock>,
    config: Config,
    shutdown: &CancellationToken,
) -> AuthClient<Channel> {
    let mut client = serve_with_directory(test, clock, (config, quiet_directory()), shutdown).await;
    while client.watch_trust(WatchTrustRequest {}).await.is_err() {
        tokio::task::yield_now().await;
    }
    client
}

async fn serve_with_directory(
    test: &TestDatabase,
    clock: &Arc<FixedClock>,
    (config, directory): (Config, Channel),
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

async fn on_both_databases(hashing: HashingConfig) -> Vec<Fixture> {
    let mut fixtures = Vec::new();
    for test in TestDatabase::both(&MIGRATIONS) {
        fixtures.push(start(test, hashing).await);
    }
    fixtures
}

fn login(user: Option<Gid>, password: &str, at: Timestamp) -> VerifyPasswordRequest {
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
    async fn user(&self, password: &str) -> Gid {
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

    async fn log_in(&self, user: Option<Gid>, password: &str) -> Result<String, RpcError> {
        self.log_in_checked_at(user, password, self.clock.now())
            .await
    }

    async fn log_in_checked_at(
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
    async fn second(&self) -> AuthClient<Channel> {
        serve(&self.test, &self.clock, config(CHEAP), &self.shutdown).await
    }

    async fn renew(&self, token: &str) -> Result<String, RpcError> {
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

    async fn keys(&self) -> KeySet {
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

    async fn claims(&self, token: &str) -> Claims {
        Verifier::new("doorward")
            .verify(token, &self.keys().await, self.clock.now())
            .unwrap()
    }
}

fn code<T: std::fmt::Debug>(answer: Result<T, RpcError>) -> ErrorCode {
    answer.unwrap_err().code
}

#[tokio::test]
async fn login_issues_a_token_with_the_documented_claims() {
    for fixture in on_both_databases(CHEAP).await {
        let user = fixture.user("correct horse").await;
        let claims = fixture
            .claims(&fixture.log_in(Some(user), "correct horse").await.unwrap())
            .await;
        assert_eq!(
            (claims.sub, claims.iat, claims.auth_time),
            (user, START_SECONDS, START_SECONDS)
        );
        assert_eq!(claims.exp, START_SECONDS + 3600);
        for (user, password) in [
            (Some(user), "correct horsf"),
            (Some(user), ""),
            (Some(user), "correct horse "),
            (Some(RandomIdGenerator.new_gid()), "correct horse"),
            (None, "correct horse"),
        ] {
            assert_eq!(
                code(fixture.log_in(user, password).await),
                ErrorCode::UnknownUser
            );
        }
        assert_eq!(
            code(fixture.log_in(Some(user), &"x".repeat(300)).await),
            ErrorCode::UnknownUser
        );
    }
}

#[tokio::test]
async fn renewals_keep_the_login_and_end_with_the_maximum_session() {
    for fixture in on_both_databases(CHEAP).await {
        let user = fixture.user("correct horse").await;
        let first = fixture.log_in(Some(user), "correct horse").await.unwrap();
        fixture.clock.advance(Duration::from_secs(3000));
        let second = fixture.renew(&first).await.unwrap();
        let old = fixture.claims(&first).await;
        let new = fixture.claims(&second).await;
        assert_eq!(
            (old.sid.as_str(), old.auth_time),
            (new.sid.as_str(), new.auth_time)
        );
        assert_eq!(
            (new.iat, new.exp),
            (START_SECONDS + 3000, START_SECONDS + 5400)
        );
        assert_ne!(old.jti, new.jti);
        fixture.clock.advance(Duration::from_secs(1000));
        assert_eq!(
            code(fixture.renew(&first).await),
            ErrorCode::Unauthenticated,
            "expired"
        );
        fixture.clock.advance(Duration::from_secs(1400));
        assert_eq!(
            code(fixture.renew(&second).await),
            ErrorCode::Unauthenticated,
            "the session is over"
        );
        assert_eq!(
            code(fixture.renew("garbage").await),
            ErrorCode::Unauthenticated
        );
    }
}

#[tokio::test]
async fn new_password_revokes_earlier_tokens_only() {
    for fixture in on_both_databases(CHEAP).await {
        let user = fixture.user("correct horse").await;
        let checked_at = fixture.clock.now();
        let old = fixture.log_in(Some(user), "correct horse").await.unwrap();
        fixture.clock.advance(Duration::from_millis(100));
        fixture
            .credentials
            .set_password(
                user,
                Password::parse("battery staple").unwrap(),
                Origin::command_line(),
            )
            .await
            .unwrap();
        let rejected = fixture
            .log_in_checked_at(Some(user), "battery staple", checked_at)
            .await;
        assert_eq!(
            code(rejected),
            ErrorCode::UnknownUser,
            "it began before the change"
        );
        fixture.clock.advance(Duration::from_millis(100));
        let new = fixture.log_in(Some(user), "battery staple").await.unwrap();
        let claims = fixture.claims(&new).await;
        assert_eq!(
            (claims.iat, claims.auth_time),
            (START_SECONDS, START_SECONDS + 1),
            "a login in the second of the revocation is dated ahead"
        );
        let revocation = wait_for_revocation(&fixture).await;
        assert_eq!(revocation, (user.to_string(), START_SECONDS + 1));
        assert_eq!(code(fixture.renew(&old).await), ErrorCode::Unauthenticated);
        fixture.renew(&new).await.unwrap();
    }
}

/// Returns the first revocation in the stream of trust data, from the snapshot or later.
async fn wait_for_revocation(fixture: &Fixture) -> (String, i64) {
    let mut trust = fixture
        .client
        .clone()
        .watch_trust(WatchTrustRequest {})
        .await
        .unwrap()
        .into_inner();
    let received = async {
        loop {
            let revocation = match trust.message().await.unwrap().unwrap().event.unwrap() {
                Event::Snapshot(snapshot) => snapshot.revocations.into_iter().next(),
                Event::Revocation(revocation) => Some(revocation),
                Event::Keys(_) | Event::Heartbeat(_) => None,
            };
            if let Some(revocation) = revocation
                && let Some(Target::Subject(subject)) = revocation.target
            {
                return (subject, revocation.not_before);
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(10), received)
        .await
        .unwrap()
}

#[tokio::test]
async fn key_rotation_is_seamless_and_retired_keys_verify_nothing() {
    for fixture in on_both_databases(CHEAP).await {
        let user = fixture.user("correct horse").await;
        let before = fixture.keys().await;
        let old = fixture.log_in(Some(user), "correct horse").await.unwrap();
        let lifetime = Duration::from_secs(3600);
        let keys = Keys::new(
            fixture.test.database.clone(),
            fixture.clock.clone(),
            sealer(7),
            lifetime,
        );
        let rotated = keys.rotate(Origin::command_line()).await.unwrap();
        let kid = |state| {
            rotated
                .iter()
                .find(|key| key.state == state)
                .unwrap()
                .kid
                .clone()
        };
        assert_eq!(rotated.len(), 3);
        assert!(matches!(
            keys.retire(&kid(KeyState::Active), Origin::command_line())
                .await,
            Err(Error::KeyIsActive)
        ));
        assert!(matches!(
            keys.retire("nothing", Origin::command_line()).await,
            Err(Error::KeyNotFound)
        ));
        let new = loop {
            let token = fixture.log_in(Some(user), "correct horse").await.unwrap();
            if Verifier::new("doorward")
                .verify(&token, &before, fixture.clock.now())
                .is_ok()
                && token.split('.').next() != old.split('.').next()
            {
                break token;
            }
        };
        fixture.renew(&old).await.unwrap();
        keys.retire(&kid(KeyState::Previous), Origin::command_line())
            .await
            .unwrap();
        while fixture.renew(&old).await.is_ok() {}
        fixture.renew(&new).await.unwrap();
    }
}

#[tokio::test]
async fn start_with_another_master_key_fails() {
    for fixture in on_both_databases(CHEAP).await {
        let lifetime = Duration::from_secs(3600);
        let keys = Keys::new(
            fixture.test.database.clone(),
            fixture.clock.clone(),
            sealer(8),
            lifetime,
        );
        assert!(
            keys.create_missing()
                .await
                .unwrap_err()
                .to_string()
                .contains("master key")
        );
        assert!(keys.rotate(Origin::command_line()).await.is_err());
    }
}

#[tokio::test]
async fn full_hash_queue_is_rejected_immediately() {
    let slow = HashingConfig {
        memory_kib: 16 * 1024,
        passes: 8,
        worker_threads: 1,
        max_queued: 2,
        ..CHEAP
    };
    let fixture = start(TestDatabase::sqlite(&MIGRATIONS), slow).await;
    let user = fixture.user("correct horse").await;
    let logins = (0..20).map(|_| fixture.log_in(Some(user), "correct horse"));
    let answers = futures_util::future::join_all(logins).await;
    let rejected: Vec<&RpcError> = answers
        .iter()
        .filter_map(|answer| answer.as_ref().err())
        .collect();
    assert!(
        !rejected.is_empty() && rejected.len() < 20,
        "{} of 20",
        rejected.len()
    );
    assert!(
        rejected
            .iter()
            .all(|failure| failure.code == ErrorCode::Unavailable && failure.retry_after.is_some())
    );
}

/// Hashes of `correct horse`, created in Python by bcrypt, argon2-cffi and hashlib. The third has
/// the format of Django.
const FOREIGN: [&str; 6] = [
    "$2b$04$fpQo4AVVBKaUT2cFe7Gk0OMl9wVk03U3C6/YqoSBJx8NV9cyQLVzG",
    "$2a$04$wOg58ZAWmwE2rmDTJhteju9WcxFrVsaGRwG7h1eoN9SA/68vZfQIO",
    "pbkdf2_sha256$1000$aSaltOfDjango$NvYdhsMXv1W6H+8eYZtBMUlbQwcIMLc366lg74t/sRE=",
    "$argon2i$v=19$m=64,t=1,p=1$1n32mllf9t5657gxfUw5QA$9K7pkHQK2WpvHorTRhQcJ1AR2bcxsMfvOBNKfanOJL8",
    "$scrypt$ln=10,r=8,p=1$MDEyMzQ1Njc4OWFiY2RlZg$6g3umF+uVrJsObaTZhIbbTlgrvOEFcCItdwSjtPF67M",
    "$pbkdf2-sha512$i=1000$MDEyMzQ1Njc4OWFiY2RlZg$OM0FAoIqCVK1sWtxDiffVlBejtLa+ks4TP71JiecwuQ",
];

#[derive(diesel::QueryableByName)]
struct Stored {
    #[diesel(sql_type = diesel::sql_types::Text)]
    password_hash: String,
}

async fn stored_hash(fixture: &Fixture, user: Gid) -> String {
    use diesel::RunQueryDsl;
    let query = format!("SELECT password_hash FROM credentials WHERE user_gid = '{user}'");
    let read = fixture.test.database.read_snapshot(move |connection| {
        let row: Stored = match connection {
            AnyConnection::Postgres(connection) => {
                diesel::sql_query(query).get_result(connection)?
            }
            AnyConnection::Sqlite(connection) => diesel::sql_query(query).get_result(connection)?,
        };
        Ok::<_, doorward_storage::Error>(row.password_hash)
    });
    read.await.unwrap()
}

#[tokio::test]
async fn foreign_hash_verifies_and_is_replaced_at_login() {
    for fixture in on_both_databases(CHEAP).await {
        for foreign in FOREIGN {
            let user = RandomIdGenerator.new_gid();
            fixture
                .credentials
                .insert_hashes(vec![(user, foreign.to_owned())])
                .await
                .unwrap();
            assert_eq!(
                code(fixture.log_in(Some(user), "wrong password").await),
                ErrorCode::UnknownUser,
                "{foreign}"
            );
            assert_eq!(stored_hash(&fixture, user).await, foreign);
            fixture.log_in(Some(user), "correct horse").await.unwrap();
            let replaced = stored_hash(&fixture, user).await;
            assert!(
                replaced.starts_with("$argon2id$v=19$m=64,t=1,p=1$"),
                "{replaced}"
            );
            fixture.log_in(Some(user), "correct horse").await.unwrap();
            assert_eq!(stored_hash(&fixture, user).await, replaced);
        }
    }
}

#[tokio::test]
async fn too_costly_hash_is_not_stored() {
    let fixture = start(TestDatabase::sqlite(&MIGRATIONS), CHEAP).await;
    for costly in [
        "$2b$31$fpQo4AVVBKaUT2cFe7Gk0OMl9wVk03U3C6/YqoSBJx8NV9cyQLVzG",
        "$argon2id$v=19$m=4194304,t=1,p=1$1n32mllf9t5657gxfUw5QA$9K7pkHQK2WpvHorTRhQcJ1AR2bcxsMfvOBNKfanOJL8",
        "$scrypt$ln=30,r=8,p=1$MDEyMzQ1Njc4OWFiY2RlZg$6g3umF+uVrJsObaTZhIbbTlgrvOEFcCItdwSjtPF67M",
        "pbkdf2_sha256$900000000$aSaltOfDjango$NvYdhsMXv1W6H+8eYZtBMUlbQwcIMLc366lg74t/sRE=",
        "plain text",
        "",
    ] {
        let rejected = fixture
            .credentials
            .set_hash(
                RandomIdGenerator.new_gid(),
                costly.to_owned(),
                Origin::command_line(),
            )
            .await;
        assert!(matches!(rejected, Err(Error::UnusableHash(_))), "{costly}");
    }
}

#[tokio::test]
async fn calls_without_service_token_are_rejected() {
    let test = TestDatabase::sqlite(&MIGRATIONS);
    let deps = Dependencies {
        database: test.database.clone(),
        clock: Arc::new(FixedClock(AtomicI64::new(0))),
        ids: Arc::new(RandomIdGenerator),
        sealer: sealer(7),
        directory: no_directory(),
    };
    let auth = Auth::start(deps, config(CHEAP), CancellationToken::new())
        .await
        .unwrap();
    let (peer, incoming) = Peer::in_memory_pair();
    let token = ServiceToken::new(Some("sixteen-characters".to_owned().into()));
    tokio::spawn(auth.serve(
        Listeners {
            tcp: None,
            in_memory: Some(incoming),
        },
        token,
    ));
    for other in [None, Some("sixteen-characterS".to_owned().into())] {
        let mut client = AuthClient::new(peer.connect(&ServiceToken::new(other)).unwrap());
        let status = client.watch_trust(WatchTrustRequest {}).await.unwrap_err();
        assert_eq!(status.code(), tonic::Code::Unauthenticated);
    }
}
