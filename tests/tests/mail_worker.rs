//! The worker that sends mails, against a real mail server, with a clock that the test sets.

use std::{
    process::Command,
    sync::{
        Arc, Mutex,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use doorward_auth::MIGRATIONS;
use doorward_domain::{Clock, Email, Gid, Ids, RandomIds, Timestamp};
use doorward_mail::{Delivery, GivenUp, Letter, MailConfig, NewMail, Outbox, Unsealed, Worker};
use doorward_storage::{Database, DatabaseUrl, Error, testing::TestDatabase};
use doorward_tests::{Backend, SmtpServer, backend, eventually, on_both_databases, ports, smtp::Options};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

on_both_databases![
    an_accepted_mail_is_sent_once_and_deleted,
    a_refused_mail_is_given_up_at_once,
    a_mail_refused_for_now_is_tried_again_and_sent_once,
    a_connection_that_breaks_in_the_middle_costs_no_mail,
    mails_wait_for_a_server_that_is_away,
    a_slow_acknowledgement_is_waited_for,
    an_expired_mail_is_not_sent,
    a_mail_that_is_replaced_while_it_waits_is_not_sent,
    a_mail_that_is_replaced_while_it_is_sent_is_not_tried_again,
    a_hook_that_fails_keeps_the_mail,
    what_is_being_sent_at_shutdown_is_sent,
    logins_are_made_and_a_wrong_password_costs_no_mail,
];

const WITHIN: Duration = Duration::from_secs(20);

struct SetClock(AtomicI64);

impl Clock for SetClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(self.0.load(Ordering::SeqCst))
    }
}

/// An outbox and its worker.
struct Fixture {
    test: TestDatabase,
    clock: Arc<SetClock>,
    outbox: Outbox,
    given_up: Arc<Mutex<Vec<GivenUp>>>,
    shutdown: CancellationToken,
    workers: Vec<JoinHandle<()>>,
}

impl Fixture {
    fn new(backend: Backend) -> Self {
        let test = match backend {
            Backend::Sqlite => TestDatabase::sqlite(&MIGRATIONS),
            Backend::Postgres => TestDatabase::postgres(&MIGRATIONS),
        };
        let clock = Arc::new(SetClock(AtomicI64::new(1_790_000_000_000_000)));
        let outbox = Outbox::new(test.database.clone(), clock.clone(), Arc::new(Unsealed));
        let (given_up, shutdown) = (Arc::default(), CancellationToken::new());
        Self { test, clock, outbox, given_up, shutdown, workers: Vec::new() }
    }

    /// With a worker of this mail server.
    fn sending_to(backend: Backend, url: &str) -> Self {
        let mut fixture = Self::new(backend);
        fixture.start(url);
        fixture
    }

    fn start(&mut self, url: &str) {
        let given_up = self.given_up.clone();
        let on_give_up = Box::new(move |_: &mut _, gone: &GivenUp, _| {
            given_up.lock().expect("no panic").push(gone.clone());
            Ok(())
        });
        let worker = Worker::new(self.outbox.clone(), config(url), on_give_up).expect("a configuration");
        self.workers.push(tokio::spawn(worker.run(self.shutdown.clone())));
    }

    async fn put(&self, mail: NewMail) -> Gid {
        let (outbox, id, now) = (self.outbox.clone(), mail.id, self.clock.now());
        let put = self.test.database.write(move |connection| outbox.put(connection, mail, now));
        put.await.expect("a row");
        self.outbox.wake();
        id
    }

    fn advance(&self, seconds: i64) {
        self.clock.0.fetch_add(seconds * 1_000_000, Ordering::SeqCst);
    }

    fn texts(&self, sql: &str) -> Vec<String> {
        backend::texts(self.test.database.url(), sql)
    }

    /// Waits until the outbox holds so many mails.
    async fn waiting(&self, count: usize) {
        let sql = "SELECT id AS text FROM outbox";
        eventually(&format!("{count} mails that wait"), WITHIN, async || {
            (self.texts(sql).len() == count).then_some(())
        })
        .await;
    }

    /// Waits until a mail has been tried so often and waits for its next try.
    async fn tried(&self, attempts: u32) {
        let sql = format!("SELECT id AS text FROM outbox WHERE attempts = {attempts} AND leased_until IS NULL");
        eventually(&format!("{attempts} tries"), WITHIN, async || (!self.texts(&sql).is_empty()).then_some(())).await;
    }

    fn given_up(&self) -> Vec<GivenUp> {
        self.given_up.lock().expect("no panic").clone()
    }

    async fn stop(&mut self) {
        self.shutdown.cancel();
        for worker in self.workers.drain(..) {
            worker.await.expect("no panic");
        }
    }
}

fn config(url: &str) -> MailConfig {
    MailConfig {
        delivery: Delivery::Smtp(url.into()),
        from: "Doorward <no-reply@mail.example.org>".to_owned(),
        app_url: "https://app.example.org".to_owned(),
    }
}

fn mail(to: &str) -> NewMail {
    NewMail {
        id: RandomIds.gid(),
        to: Email::parse(to).expect("an address"),
        language: "en".to_owned(),
        letter: Letter::SignupCode { code: "K7MWQ4".to_owned() },
        topic: None,
        expires_at: None,
        user: None,
    }
}

async fn an_accepted_mail_is_sent_once_and_deleted(backend: Backend) {
    let server = SmtpServer::start().await;
    let mut fixture = Fixture::sending_to(backend, &server.url());
    let id = fixture.put(mail("ann@example.org")).await;

    let received = server.mail_to("ann@example.org").await;
    assert_eq!(received.from, "no-reply@mail.example.org");
    assert_eq!(received.subject, "Your code for a new Doorward account");
    assert_eq!(received.code(), "K7MWQ4");
    assert!(received.html.contains(">K7MWQ4<"), "{}", received.html);
    assert_eq!(received.header("From"), "Doorward <no-reply@mail.example.org>");
    assert_eq!(received.header("To"), "ann@example.org");
    assert_eq!(received.header("Message-ID"), format!("<{id}@mail.example.org>"));
    assert_eq!(received.header("Auto-Submitted"), "auto-generated");
    assert_eq!(received.header("Date"), "Mon, 21 Sep 2026 14:13:20 +0000");
    assert!(received.header("Content-Type").starts_with("multipart/alternative"));

    fixture.waiting(0).await;
    fixture.stop().await;
    assert_eq!((server.mails().len(), fixture.given_up().len()), (1, 0));
}

async fn a_refused_mail_is_given_up_at_once(backend: Backend) {
    let server = SmtpServer::start().await;
    let fixture = Fixture::sending_to(backend, &server.url());
    let user = Some(RandomIds.gid());
    let id = fixture.put(NewMail { user, ..mail("refuse+ann@example.org") }).await;
    fixture.waiting(0).await;
    let reason = "the mail server refused it: 550 5.1.1".to_owned();
    let kind = "signup_code".to_owned();
    eventually("the hook", WITHIN, async || (!fixture.given_up().is_empty()).then_some(())).await;
    assert_eq!(fixture.given_up(), [GivenUp { id, user, kind, reason }]);
    assert_eq!(server.mails().len(), 0);
}

async fn a_mail_refused_for_now_is_tried_again_and_sent_once(backend: Backend) {
    let server = SmtpServer::start().await;
    let mut fixture = Fixture::sending_to(backend, &server.url());
    let id = fixture.put(mail("later2+ann@example.org")).await;
    fixture.tried(1).await;
    assert_eq!(fixture.texts("SELECT CAST(next_try_at AS TEXT) AS text FROM outbox"), ["1790000005000000"]);
    fixture.advance(5);
    fixture.tried(2).await;
    assert_eq!(fixture.texts("SELECT CAST(next_try_at AS TEXT) AS text FROM outbox"), ["1790000020000000"]);
    fixture.advance(15);
    let received = server.mail_to("later2+ann@example.org").await;
    assert_eq!(received.header("Message-ID"), format!("<{id}@mail.example.org>"));
    assert_eq!(received.header("Date"), "Mon, 21 Sep 2026 14:13:20 +0000", "when it was written");
    fixture.waiting(0).await;
    fixture.stop().await;
    assert_eq!((server.mails().len(), fixture.given_up().len()), (1, 0));
}

async fn a_connection_that_breaks_in_the_middle_costs_no_mail(backend: Backend) {
    let server = SmtpServer::start().await;
    let mut fixture = Fixture::sending_to(backend, &server.url());
    fixture.put(mail("drop+ann@example.org")).await;
    fixture.tried(1).await;
    assert_eq!(server.mails().len(), 0);
    fixture.advance(5);
    server.mail_to("drop+ann@example.org").await;
    fixture.waiting(0).await;
    fixture.stop().await;
    assert_eq!(server.mails().len(), 1);
}

async fn mails_wait_for_a_server_that_is_away(backend: Backend) {
    let port = ports::free();
    let fixture = Fixture::sending_to(backend, &format!("smtp://localhost:{port}"));
    fixture.put(mail("ann@example.org")).await;
    for (attempts, wait) in [(1, 5), (2, 15), (3, 60), (4, 60), (5, 60)] {
        fixture.tried(attempts).await;
        fixture.advance(wait);
    }
    fixture.tried(6).await;
    let server = SmtpServer::start_with(Options { port, ..Options::default() }).await;
    fixture.advance(60);
    server.mail_to("ann@example.org").await;
    fixture.waiting(0).await;

    drop(server);
    fixture.put(mail("ben@example.org")).await;
    fixture.tried(1).await;
    fixture.advance(24 * 60 * 60);
    fixture.waiting(0).await;
    eventually("the hook", WITHIN, async || (!fixture.given_up().is_empty()).then_some(())).await;
    let reason = &fixture.given_up()[0].reason;
    assert!(reason.to_lowercase().contains("connection") && !reason.contains("ben"), "{reason}");
}

async fn a_slow_acknowledgement_is_waited_for(backend: Backend) {
    let options = Options { slow: Some(Duration::from_secs(2)), ..Options::default() };
    let server = SmtpServer::start_with(options).await;
    let fixture = Fixture::sending_to(backend, &server.url());
    fixture.put(mail("slow+ann@example.org")).await;
    server.mail_to("slow+ann@example.org").await;
    assert_eq!(fixture.texts("SELECT id AS text FROM outbox").len(), 1, "nobody has acknowledged it");
    // Others have their turn meanwhile.
    fixture.put(mail("ben@example.org")).await;
    server.mail_to("ben@example.org").await;
    fixture.waiting(0).await;
    assert_eq!(server.mails().len(), 2);
}

async fn an_expired_mail_is_not_sent(backend: Backend) {
    let server = SmtpServer::start().await;
    let fixture = Fixture::sending_to(backend, &server.url());
    let ends = fixture.clock.now().plus(Duration::from_secs(900));
    fixture.put(NewMail { expires_at: Some(fixture.clock.now()), ..mail("ann@example.org") }).await;
    fixture.waiting(0).await;
    fixture.put(NewMail { expires_at: Some(ends), ..mail("later1+ben@example.org") }).await;
    fixture.tried(1).await;
    fixture.advance(900);
    fixture.waiting(0).await;
    let given_up = eventually("the hook", WITHIN, async || Some(fixture.given_up()).filter(|all| all.len() == 2)).await;
    assert!(given_up.iter().all(|gone| gone.reason == "expired before it could be sent"), "{given_up:?}");
    assert_eq!(server.mails().len(), 0);
}

async fn a_mail_that_is_replaced_while_it_waits_is_not_sent(backend: Backend) {
    let server = SmtpServer::start().await;
    let fixture = Fixture::sending_to(backend, &server.url());
    let topic = Some("signup/ann".to_owned());
    fixture.put(NewMail { topic: topic.clone(), ..mail("later1+ann@example.org") }).await;
    fixture.tried(1).await;
    let letter = Letter::SignupCode { code: "SECND2".to_owned() };
    fixture.put(NewMail { topic, letter, ..mail("later1+ann@example.org") }).await;
    assert_eq!(server.mail_to("later1+ann@example.org").await.code(), "SECND2");
    fixture.waiting(0).await;
    assert_eq!((server.mails().len(), fixture.given_up().len()), (1, 0));
}

/// As [`config`], to a server that says nothing for as long as the test likes, then refuses for now.
async fn a_mail_that_is_replaced_while_it_is_sent_is_not_tried_again(backend: Backend) {
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = silent.local_addr().expect("an address").port();
    let fixture = Fixture::sending_to(backend, &format!("smtp://127.0.0.1:{port}"));
    let topic = Some("signup/ann".to_owned());
    fixture.put(NewMail { topic: topic.clone(), ..mail("ann@example.org") }).await;
    let (first, _) = silent.accept().await.expect("a connection");
    let second = fixture.put(NewMail { topic, ..mail("ann@example.org") }).await;
    fixture.waiting(2).await;
    drop(first);
    fixture.waiting(1).await;
    assert_eq!(fixture.texts("SELECT id AS text FROM outbox"), [second.to_string()]);
    assert_eq!(fixture.given_up().len(), 0);
}

async fn a_hook_that_fails_keeps_the_mail(backend: Backend) {
    let server = SmtpServer::start().await;
    let mut fixture = Fixture::new(backend);
    let fails = Box::new(|_: &mut _, _: &GivenUp, _| Err(Error::Other("on purpose".to_owned())));
    let worker = Worker::new(fixture.outbox.clone(), config(&server.url()), fails).expect("a configuration");
    let shutdown = CancellationToken::new();
    let first = tokio::spawn(worker.run(shutdown.clone()));
    fixture.put(mail("refuse+ann@example.org")).await;
    let tried = "SELECT id AS text FROM outbox WHERE attempts = 1";
    eventually("a try", WITHIN, async || (!fixture.texts(tried).is_empty()).then_some(())).await;
    shutdown.cancel();
    first.await.expect("no panic");
    assert_eq!(fixture.texts(tried).len(), 1);

    fixture.advance(120);
    fixture.start(&server.url());
    fixture.waiting(0).await;
    eventually("the hook", WITHIN, async || (fixture.given_up().len() == 1).then_some(())).await;
}

async fn what_is_being_sent_at_shutdown_is_sent(backend: Backend) {
    let options = Options { slow: Some(Duration::from_secs(1)), ..Options::default() };
    let server = SmtpServer::start_with(options).await;
    let mut fixture = Fixture::sending_to(backend, &server.url());
    fixture.put(mail("slow+ann@example.org")).await;
    server.mail_to("slow+ann@example.org").await;
    fixture.stop().await;
    assert_eq!(fixture.texts("SELECT id AS text FROM outbox").len(), 0);
}

async fn logins_are_made_and_a_wrong_password_costs_no_mail(backend: Backend) {
    let login = Some(("ann".to_owned(), "s3cret".to_owned()));
    let server = SmtpServer::start_with(Options { login, ..Options::default() }).await;
    let mut fixture = Fixture::sending_to(backend, &server.url().replace("s3cret", "wrong"));
    fixture.put(mail("ann@example.org")).await;
    fixture.tried(1).await;
    fixture.stop().await;
    fixture.shutdown = CancellationToken::new();
    fixture.advance(5);
    fixture.start(&server.url());
    assert_eq!(server.mail_to("ann@example.org").await.user.as_deref(), Some("ann"));
    fixture.waiting(0).await;
    assert_eq!(fixture.given_up().len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn workers_of_two_processes_share_the_mails_and_none_is_sent_twice() {
    let server = SmtpServer::start().await;
    let mut fixture = Fixture::new(Backend::Postgres);
    for number in 0..50 {
        fixture.put(mail(&format!("user{number}@example.org"))).await;
    }
    // Apart but for the database.
    fixture.start(&server.url());
    fixture.outbox = Outbox::new(other_pool(&fixture.test.database), fixture.clock.clone(), Arc::new(Unsealed));
    fixture.start(&server.url());
    fixture.waiting(0).await;
    fixture.stop().await;
    let mut to: Vec<String> = server.mails().into_iter().map(|mail| mail.to).collect();
    let count = to.len();
    to.sort_unstable();
    to.dedup();
    assert_eq!((count, to.len()), (50, 50));
}

fn other_pool(database: &Database) -> Database {
    let url: DatabaseUrl = database.url().clone();
    Database::new(doorward_storage::Options { name: "other", url, pool_size: 4 })
}

/// A server certificate for `localhost`: the files of its authority, of itself and of its key.
fn certificate(directory: &TempDir) -> [std::path::PathBuf; 3] {
    let mut parameters = CertificateParams::new([]).expect("no names");
    parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority =
        CertifiedIssuer::self_signed(parameters, KeyPair::generate().expect("a key")).expect("a certificate");
    let key = KeyPair::generate().expect("a key");
    let parameters = CertificateParams::new(["localhost".to_owned()]).expect("a name");
    let certificate = parameters.signed_by(&key, &authority).expect("a certificate");
    let texts = [authority.pem(), certificate.pem(), key.serialize_pem()];
    let files = ["ca.pem", "certificate.pem", "key.pem"].map(|name| directory.path().join(name));
    for (file, text) in files.iter().zip(texts) {
        std::fs::write(file, text).expect("a file");
    }
    files
}

const URL_VARIABLE: &str = "DOORWARD_TEST_SMTP_URL";

/// What another process does, which trusts the authority of the test.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "a part of the next test, in a process of its own"]
async fn sends_one_mail() {
    let url = std::env::var_os(URL_VARIABLE).expect("a URL").into_string().expect("UTF-8");
    let fixture = Fixture::sending_to(Backend::Sqlite, &url);
    fixture.put(mail("ann@example.org")).await;
    fixture.waiting(0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mails_go_by_tls_and_only_to_a_server_with_a_trusted_certificate() {
    let directory = tempfile::tempdir().expect("a directory");
    let [authority, certificate, key] = certificate(&directory);
    for is_wrapped in [false, true] {
        let login = Some(("ann".to_owned(), "s3cret".to_owned()));
        let certificate = Some((certificate.clone(), key.clone()));
        let server = SmtpServer::start_with(Options { certificate, is_wrapped, login, ..Options::default() }).await;
        let url = server.url() + if is_wrapped { "" } else { "?tls=required" };

        let mut stranger = Fixture::sending_to(Backend::Sqlite, &url);
        stranger.put(mail("ann@example.org")).await;
        stranger.tried(1).await;
        stranger.stop().await;
        assert_eq!(server.mails().len(), 0);

        let mut child = Command::new(std::env::current_exe().expect("the path of this test"));
        child.args(["--exact", "mail_worker::sends_one_mail", "--ignored"]);
        child.env("SSL_CERT_FILE", &authority).env(URL_VARIABLE, &url);
        let output = tokio::task::spawn_blocking(move || child.output()).await.expect("no panic").expect("a process");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
        let received = server.mail_to("ann@example.org").await;
        assert!(received.is_encrypted);
        assert_eq!(received.user.as_deref(), Some("ann"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_without_the_tls_that_is_required_gets_no_mail() {
    let server = SmtpServer::start().await;
    let fixture = Fixture::sending_to(Backend::Sqlite, &(server.url() + "?tls=required"));
    fixture.put(mail("ann@example.org")).await;
    fixture.tried(1).await;
    assert_eq!(server.mails().len(), 0);
}
