//! An outbox with workers, and a clock that the test sets.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use doorward_auth::MIGRATIONS;
use doorward_domain::{Clock, Email, Gid, IdGenerator, RandomIdGenerator, Timestamp};
use doorward_mail::{
    Delivery, GivenUpMail, MailConfig, MailContent, NewMail, Outbox, PlainContent, Worker,
};
use doorward_storage::testing::TestDatabase;
use doorward_tests::{Backend, eventually, sql};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

pub(crate) const TIMEOUT: Duration = Duration::from_secs(20);

/// A clock that only advances when the test advances it. The value is in microseconds.
pub(crate) struct SetClock(AtomicI64);

impl Clock for SetClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(self.0.load(Ordering::SeqCst))
    }
}

/// An outbox and the workers that send its mails.
pub(crate) struct Fixture {
    pub(crate) test: TestDatabase,
    pub(crate) clock: Arc<SetClock>,
    pub(crate) outbox: Outbox,
    pub(crate) given_up: Arc<Mutex<Vec<GivenUpMail>>>,
    pub(crate) shutdown: CancellationToken,
    pub(crate) workers: Vec<JoinHandle<()>>,
}

impl Fixture {
    pub(crate) fn new(backend: Backend) -> Self {
        let test = match backend {
            Backend::Sqlite => TestDatabase::sqlite(&MIGRATIONS),
            Backend::Postgres => TestDatabase::postgres(&MIGRATIONS),
        };
        let clock = Arc::new(SetClock(AtomicI64::new(1_790_000_000_000_000)));
        let outbox = Outbox::new(test.database.clone(), clock.clone(), Arc::new(PlainContent));
        let given_up = Arc::default();
        let shutdown = CancellationToken::new();
        Self {
            test,
            clock,
            outbox,
            given_up,
            shutdown,
            workers: Vec::new(),
        }
    }

    /// Creates a fixture with a worker that sends to this mail server.
    pub(crate) fn sending_to(backend: Backend, url: &str) -> Self {
        let mut fixture = Self::new(backend);
        fixture.start(url);
        fixture
    }

    pub(crate) fn start(&mut self, url: &str) {
        self.start_with(config(url));
    }

    pub(crate) fn start_with(&mut self, config: MailConfig) {
        let given_up = self.given_up.clone();
        let on_give_up = Box::new(move |_: &mut _, mail: &GivenUpMail, _| {
            given_up.lock().expect("no panic").push(mail.clone());
            Ok(())
        });
        let worker = Worker::new(self.outbox.clone(), config, on_give_up).expect("a configuration");
        self.workers
            .push(tokio::spawn(worker.run(self.shutdown.clone())));
    }

    pub(crate) async fn put(&self, mail: NewMail) -> Gid {
        let outbox = self.outbox.clone();
        let id = mail.id;
        let now = self.clock.now();
        let put = self
            .test
            .database
            .write(move |connection| outbox.enqueue(connection, mail, now));
        put.await.expect("a row");
        self.outbox.wake_worker();
        id
    }

    pub(crate) fn advance(&self, seconds: i64) {
        self.clock
            .0
            .fetch_add(seconds * 1_000_000, Ordering::SeqCst);
    }

    pub(crate) fn texts(&self, sql: &str) -> Vec<String> {
        sql::texts(self.test.database.url(), sql)
    }

    /// Waits until the outbox has `count` mails.
    pub(crate) async fn waiting(&self, count: usize) {
        let sql = "SELECT id AS text FROM outbox";
        eventually(&format!("{count} mails that wait"), TIMEOUT, async || {
            (self.texts(sql).len() == count).then_some(())
        })
        .await;
    }

    /// Waits until a mail has had this number of attempts and waits for the next one.
    pub(crate) async fn tried(&self, attempts: u32) {
        let sql = format!(
            "SELECT id AS text FROM outbox WHERE attempts = {attempts} AND leased_until IS NULL"
        );
        eventually(&format!("{attempts} attempts"), TIMEOUT, async || {
            (!self.texts(&sql).is_empty()).then_some(())
        })
        .await;
    }

    pub(crate) fn given_up(&self) -> Vec<GivenUpMail> {
        self.given_up.lock().expect("no panic").clone()
    }

    pub(crate) async fn stop(&mut self) {
        self.shutdown.cancel();
        for worker in self.workers.drain(..) {
            worker.await.expect("no panic");
        }
    }
}

pub(crate) fn config(url: &str) -> MailConfig {
    MailConfig {
        delivery: Delivery::Smtp(url.into()),
        from: "Doorward <no-reply@mail.example.org>".to_owned(),
        app_url: "https://app.example.org".to_owned(),
        ehlo_name: "app.example.org".to_owned(),
    }
}

pub(crate) fn mail(to: &str) -> NewMail {
    NewMail {
        id: RandomIdGenerator.new_gid(),
        recipient: Email::parse(to).expect("an address"),
        language: "en".to_owned(),
        content: MailContent::SignupCode {
            code: "K7MWQ4".to_owned(),
        },
        topic: None,
        expires_at: None,
        user: None,
    }
}
