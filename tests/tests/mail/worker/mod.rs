//! Tests the worker that sends mails with a real mail server: retries, expiry, topics, quarantine
//! and shutdown.

pub(crate) mod fixture;
pub(crate) mod tls;

use std::{sync::Arc, time::Duration};

use doorward_domain::{Clock, IdGenerator, RandomIdGenerator};
use doorward_mail::{
    Delivery, GivenUpMail, MailConfig, MailContent, NewMail, Outbox, PlainContent, Worker,
};
use doorward_storage::{Database, DatabaseUrl, Error};
use doorward_tests::{
    Backend, SmtpServer, eventually, on_both_databases, ports, smtp::Options, sql,
};
use tokio_util::sync::CancellationToken;

use crate::mail::worker::fixture::{Fixture, TIMEOUT, config, mail};

on_both_databases![
    accepted_mail_is_sent_once_and_deleted,
    rejected_mail_is_given_up_at_once,
    mail_rejected_for_now_is_tried_again_and_sent_once,
    broken_connection_loses_no_mail,
    mails_wait_for_an_unavailable_server,
    slow_acknowledgement_is_awaited,
    expired_mail_is_not_sent,
    mail_that_is_replaced_while_it_waits_is_not_sent,
    mail_that_is_replaced_while_it_is_sent_is_not_tried_again,
    failing_give_up_hook_keeps_the_mail,
    shutdown_finishes_mails_in_flight,
    server_that_requires_login_loses_no_mail,
    login_works_and_wrong_password_loses_no_mail,
    unusual_addresses_are_delivered_or_given_up,
    mails_that_are_only_logged_are_done,
    unreadable_rows_are_quarantined,
];

async fn accepted_mail_is_sent_once_and_deleted(backend: Backend) {
    let server = SmtpServer::start().await;
    let mut fixture = Fixture::sending_to(backend, &server.url());
    let id = fixture.put(mail("ann@example.org")).await;

    let received = server.mail_to("ann@example.org").await;
    assert_eq!(received.from, "no-reply@mail.example.org");
    assert_eq!(received.subject, "Your code for a new Doorward account");
    assert_eq!(received.code(), "K7MWQ4");
    assert!(received.html.contains(">K7MWQ4<"), "{}", received.html);
    assert_eq!(
        received.header("From"),
        "Doorward <no-reply@mail.example.org>"
    );
    assert_eq!(received.header("To"), "ann@example.org");
    assert_eq!(
        received.header("Message-ID"),
        format!("<{id}@mail.example.org>")
    );
    assert_eq!(received.header("Auto-Submitted"), "auto-generated");
    assert_eq!(received.header("Date"), "Mon, 21 Sep 2026 14:13:20 +0000");
    assert!(
        received
            .header("Content-Type")
            .starts_with("multipart/alternative")
    );

    fixture.waiting(0).await;
    fixture.stop().await;
    assert_eq!((server.mails().len(), fixture.given_up().len()), (1, 0));
}

async fn rejected_mail_is_given_up_at_once(backend: Backend) {
    let server = SmtpServer::start().await;
    let fixture = Fixture::sending_to(backend, &server.url());
    let user = Some(RandomIdGenerator.new_gid());
    let id = fixture
        .put(NewMail {
            user,
            ..mail("refuse+ann@example.org")
        })
        .await;
    fixture.waiting(0).await;
    let reason = "the mail server refused it: 550 5.1.1".to_owned();
    let kind = "signup_code".to_owned();
    eventually("the hook", TIMEOUT, async || {
        (!fixture.given_up().is_empty()).then_some(())
    })
    .await;
    assert_eq!(
        fixture.given_up(),
        [GivenUpMail {
            id,
            user,
            kind,
            reason
        }]
    );
    assert_eq!(server.mails().len(), 0);
}

async fn mail_rejected_for_now_is_tried_again_and_sent_once(backend: Backend) {
    let server = SmtpServer::start().await;
    let mut fixture = Fixture::sending_to(backend, &server.url());
    let id = fixture.put(mail("later2+ann@example.org")).await;
    fixture.tried(1).await;
    assert_eq!(
        fixture.texts("SELECT CAST(next_attempt_at AS TEXT) AS text FROM outbox"),
        ["1790000005000000"]
    );
    fixture.advance(5);
    fixture.tried(2).await;
    assert_eq!(
        fixture.texts("SELECT CAST(next_attempt_at AS TEXT) AS text FROM outbox"),
        ["1790000020000000"]
    );
    fixture.advance(15);
    let received = server.mail_to("later2+ann@example.org").await;
    assert_eq!(
        received.header("Message-ID"),
        format!("<{id}@mail.example.org>")
    );
    assert_eq!(
        received.header("Date"),
        "Mon, 21 Sep 2026 14:13:20 +0000",
        "the date must be that of the mail, not of the attempt"
    );
    fixture.waiting(0).await;
    fixture.stop().await;
    assert_eq!((server.mails().len(), fixture.given_up().len()), (1, 0));
}

async fn server_that_requires_login_loses_no_mail(backend: Backend) {
    let server = SmtpServer::start().await;
    let fixture = Fixture::sending_to(backend, &server.url());
    fixture.put(mail("login+ann@example.org")).await;
    fixture.tried(1).await;
    fixture.advance(5);
    server.mail_to("login+ann@example.org").await;
    fixture.waiting(0).await;
    assert_eq!(fixture.given_up().len(), 0);
}

async fn broken_connection_loses_no_mail(backend: Backend) {
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

async fn mails_wait_for_an_unavailable_server(backend: Backend) {
    let port = ports::find_free_port();
    let fixture = Fixture::sending_to(backend, &format!("smtp://localhost:{port}"));
    fixture.put(mail("ann@example.org")).await;
    for (attempts, wait) in [(1, 5), (2, 15), (3, 60), (4, 60), (5, 60)] {
        fixture.tried(attempts).await;
        fixture.advance(wait);
    }
    fixture.tried(6).await;
    let server = SmtpServer::start_with(Options {
        port,
        ..Options::default()
    })
    .await;
    fixture.advance(60);
    server.mail_to("ann@example.org").await;
    fixture.waiting(0).await;

    drop(server);
    fixture.put(mail("ben@example.org")).await;
    fixture.tried(1).await;
    fixture.advance(24 * 60 * 60);
    fixture.waiting(0).await;
    eventually("the hook", TIMEOUT, async || {
        (!fixture.given_up().is_empty()).then_some(())
    })
    .await;
    assert_eq!(
        fixture.given_up()[0].reason,
        "the mail server can't be used"
    );
}

async fn slow_acknowledgement_is_awaited(backend: Backend) {
    let options = Options {
        slow: Some(Duration::from_secs(4)),
        ..Options::default()
    };
    let server = SmtpServer::start_with(options).await;
    let fixture = Fixture::sending_to(backend, &server.url());
    fixture.put(mail("slow+ann@example.org")).await;
    server.mail_to("slow+ann@example.org").await;
    assert_eq!(
        fixture.texts("SELECT id AS text FROM outbox").len(),
        1,
        "the mail must stay until it is acknowledged"
    );
    // Other mails are sent in the meantime.
    fixture.put(mail("ben@example.org")).await;
    server.mail_to("ben@example.org").await;
    fixture.waiting(0).await;
    assert_eq!(server.mails().len(), 2);
}

async fn expired_mail_is_not_sent(backend: Backend) {
    let server = SmtpServer::start().await;
    let fixture = Fixture::sending_to(backend, &server.url());
    let ends = fixture.clock.now().saturating_add(Duration::from_secs(900));
    fixture
        .put(NewMail {
            expires_at: Some(fixture.clock.now()),
            ..mail("ann@example.org")
        })
        .await;
    fixture.waiting(0).await;
    fixture
        .put(NewMail {
            expires_at: Some(ends),
            ..mail("later1+ben@example.org")
        })
        .await;
    fixture.tried(1).await;
    fixture.advance(900);
    fixture.waiting(0).await;
    let given_up = eventually("the hook", TIMEOUT, async || {
        Some(fixture.given_up()).filter(|all| all.len() == 2)
    })
    .await;
    assert!(
        given_up
            .iter()
            .all(|mail| mail.reason == "expired before it could be sent"),
        "{given_up:?}"
    );
    assert_eq!(server.mails().len(), 0);
}

async fn mail_that_is_replaced_while_it_waits_is_not_sent(backend: Backend) {
    let server = SmtpServer::start().await;
    let fixture = Fixture::sending_to(backend, &server.url());
    let topic = Some("signup/ann".to_owned());
    fixture
        .put(NewMail {
            topic: topic.clone(),
            ..mail("later1+ann@example.org")
        })
        .await;
    fixture.tried(1).await;
    let content = MailContent::SignupCode {
        code: "SECND2".to_owned(),
    };
    fixture
        .put(NewMail {
            topic,
            content,
            ..mail("later1+ann@example.org")
        })
        .await;
    assert_eq!(
        server.mail_to("later1+ann@example.org").await.code(),
        "SECND2"
    );
    fixture.waiting(0).await;
    assert_eq!((server.mails().len(), fixture.given_up().len()), (1, 0));
}

/// The server accepts the connection, sends nothing, and closes it after the mail was replaced.
async fn mail_that_is_replaced_while_it_is_sent_is_not_tried_again(backend: Backend) {
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0")
        .await
        .expect("a port");
    let port = silent.local_addr().expect("an address").port();
    let fixture = Fixture::sending_to(backend, &format!("smtp://127.0.0.1:{port}"));
    let topic = Some("signup/ann".to_owned());
    fixture
        .put(NewMail {
            topic: topic.clone(),
            ..mail("ann@example.org")
        })
        .await;
    let (first, _) = silent.accept().await.expect("a connection");
    let second = fixture
        .put(NewMail {
            topic,
            ..mail("ann@example.org")
        })
        .await;
    fixture.waiting(2).await;
    drop(first);
    fixture.waiting(1).await;
    assert_eq!(
        fixture.texts("SELECT id AS text FROM outbox"),
        [second.to_string()]
    );
    assert_eq!(fixture.given_up().len(), 0);
}

async fn failing_give_up_hook_keeps_the_mail(backend: Backend) {
    let server = SmtpServer::start().await;
    let mut fixture = Fixture::new(backend);
    let fails =
        Box::new(|_: &mut _, _: &GivenUpMail, _| Err(Error::Other("on purpose".to_owned())));
    let worker =
        Worker::new(fixture.outbox.clone(), config(&server.url()), fails).expect("a configuration");
    let shutdown = CancellationToken::new();
    let first = tokio::spawn(worker.run(shutdown.clone()));
    fixture.put(mail("refuse+ann@example.org")).await;
    let tried = "SELECT id AS text FROM outbox WHERE attempts = 1";
    eventually("an attempt", TIMEOUT, async || {
        (!fixture.texts(tried).is_empty()).then_some(())
    })
    .await;
    shutdown.cancel();
    first.await.expect("no panic");
    assert_eq!(fixture.texts(tried).len(), 1);

    fixture.advance(120);
    fixture.start(&server.url());
    fixture.waiting(0).await;
    eventually("the hook", TIMEOUT, async || {
        (fixture.given_up().len() == 1).then_some(())
    })
    .await;
}

async fn shutdown_finishes_mails_in_flight(backend: Backend) {
    let options = Options {
        slow: Some(Duration::from_secs(1)),
        ..Options::default()
    };
    let server = SmtpServer::start_with(options).await;
    let mut fixture = Fixture::sending_to(backend, &server.url());
    fixture.put(mail("slow+ann@example.org")).await;
    server.mail_to("slow+ann@example.org").await;
    fixture.stop().await;
    assert_eq!(fixture.texts("SELECT id AS text FROM outbox").len(), 0);
}

async fn login_works_and_wrong_password_loses_no_mail(backend: Backend) {
    let login = Some(("ann".to_owned(), "s3cret".to_owned()));
    let server = SmtpServer::start_with(Options {
        login,
        ..Options::default()
    })
    .await;
    let mut fixture = Fixture::sending_to(backend, &server.url().replace("s3cret", "wrong"));
    fixture.put(mail("ann@example.org")).await;
    fixture.tried(1).await;
    fixture.stop().await;
    fixture.shutdown = CancellationToken::new();
    fixture.advance(5);
    fixture.start(&server.url());
    assert_eq!(
        server.mail_to("ann@example.org").await.user.as_deref(),
        Some("ann")
    );
    fixture.waiting(0).await;
    assert_eq!(fixture.given_up().len(), 0);
}

async fn unusual_addresses_are_delivered_or_given_up(backend: Backend) {
    let ascii_only = SmtpServer::start_with(Options {
        is_ascii_only: true,
        ..Options::default()
    })
    .await;
    let server = SmtpServer::start().await;
    let mut fixture = Fixture::sending_to(backend, &server.url());
    let odd = [
        "o'brien+x@example.org",
        "\"a b\"@example.org",
        "ann@bücher.example",
        "ünn@bücher.example",
    ];
    for address in odd {
        fixture.put(mail(address)).await;
    }
    fixture.waiting(0).await;
    for address in odd {
        server
            .mail_to(&address.replace("bücher.example", "xn--bcher-kva.example"))
            .await;
    }
    fixture.put(mail("\"a>b\"@example.org")).await;
    fixture.waiting(0).await;
    fixture.stop().await;
    assert_eq!(fixture.given_up().len() + server.mails().len(), 5);

    fixture.shutdown = CancellationToken::new();
    fixture.start(&ascii_only.url());
    fixture.given_up.lock().expect("no panic").clear();
    fixture.put(mail("ann@bücher.example")).await;
    fixture.put(mail("ünn@bücher.example")).await;
    fixture.waiting(0).await;
    fixture.stop().await;
    assert_eq!(ascii_only.count_to("ann@xn--bcher-kva.example"), 1);
    assert_eq!(
        fixture.given_up()[0].reason,
        "the mail server takes no addresses of this form"
    );
}

async fn mails_that_are_only_logged_are_done(backend: Backend) {
    let mut fixture = Fixture::new(backend);
    fixture.start_with(MailConfig {
        delivery: Delivery::Log,
        ..config("")
    });
    fixture.put(mail("ann@example.org")).await;
    fixture.waiting(0).await;
    fixture.stop().await;
    assert_eq!(fixture.given_up().len(), 0);
}

/// A table lock delays the deletion until the lease has ended. When the lock is released, the row
/// still exists.
#[tokio::test(flavor = "multi_thread")]
async fn mail_that_was_acknowledged_is_not_sent_again_while_it_cannot_be_deleted() {
    let options = Options {
        slow: Some(Duration::from_secs(4)),
        ..Options::default()
    };
    let server = SmtpServer::start_with(options).await;
    let mut fixture = Fixture::sending_to(Backend::Postgres, &server.url());
    let url = fixture.test.database.url().clone();
    for _ in 0..3 {
        fixture.put(mail("slow+ann@example.org")).await;
    }
    eventually("three mails", TIMEOUT, async || {
        (server.mails().len() == 3).then_some(())
    })
    .await;
    let lock = sql::lock_table(&url, "outbox");
    eventually("deletions that wait", TIMEOUT, async || {
        (sql::count_lock_waiters(&url) >= 4).then_some(())
    })
    .await;
    fixture.advance(1000);
    drop(lock);
    fixture.waiting(0).await;
    fixture.stop().await;
    assert_eq!(server.mails().len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn workers_of_two_processes_share_the_mails_and_none_is_sent_twice() {
    let server = SmtpServer::start().await;
    let mut fixture = Fixture::new(Backend::Postgres);
    for number in 0..50 {
        fixture
            .put(mail(&format!("user{number}@example.org")))
            .await;
    }
    // The second worker has its own outbox and connection pool: only the database is shared.
    fixture.start(&server.url());
    fixture.outbox = Outbox::new(
        other_pool(&fixture.test.database),
        fixture.clock.clone(),
        Arc::new(PlainContent),
    );
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
    Database::new(doorward_storage::DatabaseOptions {
        name: "other",
        url,
        pool_size: 4,
    })
}

/// There are more unreadable rows than a worker takes at once, and they are older than the others,
/// so they would block these.
async fn unreadable_rows_are_quarantined(backend: Backend) {
    let server = SmtpServer::start().await;
    let mut fixture = Fixture::new(backend);
    let changes = [
        "content = ''",
        "content = 'garbage'",
        "content = '{}'",
        "content = '{\"of_a_later_release\": {}}'",
        "user_gid = 'nobody'",
        "id = 'x'",
    ];
    let mut repaired = String::new();
    for (number, change) in changes.iter().enumerate() {
        let id = fixture
            .put(mail(&format!("set-aside-{number}@example.org")))
            .await;
        repaired = if *change == "content = 'garbage'" {
            id.to_string()
        } else {
            repaired
        };
        sql::execute(
            fixture.test.database.url(),
            &format!("UPDATE outbox SET {change} WHERE id = '{id}'"),
        );
    }
    let content = fixture
        .texts("SELECT content AS text FROM outbox WHERE user_gid = 'nobody'")
        .remove(0);
    fixture.advance(1);
    for name in ["ann", "ben", "cas"] {
        fixture.put(mail(&format!("{name}@example.org"))).await;
    }
    fixture.start(&server.url());
    for name in ["ann", "ben", "cas"] {
        server.mail_to(&format!("{name}@example.org")).await;
    }
    fixture.waiting(changes.len()).await;
    let quarantined = "SELECT id AS text FROM outbox WHERE quarantined_at IS NOT NULL";
    eventually("quarantined rows", TIMEOUT, async || {
        (fixture.texts(quarantined).len() == changes.len()).then_some(())
    })
    .await;
    assert_eq!(fixture.given_up(), []);

    // A worker tries quarantined mails again when it starts: the repaired mail is sent.
    fixture.stop().await;
    let repair = format!("UPDATE outbox SET content = '{content}' WHERE id = '{repaired}'");
    sql::execute(fixture.test.database.url(), &repair);
    fixture.shutdown = CancellationToken::new();
    fixture.start(&server.url());
    server.mail_to("set-aside-1@example.org").await;
    fixture.waiting(changes.len() - 1).await;
    eventually("quarantined rows", TIMEOUT, async || {
        (fixture.texts(quarantined).len() == changes.len() - 1).then_some(())
    })
    .await;
}
