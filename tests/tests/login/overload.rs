//! Tests that an overloaded server serves some calls, rejects the others with 503 immediately, and
//! never hangs.

use std::time::{Duration, Instant};

use doorward_tests::{App, Backend, PASSWORD, Response, eventually, on_both_databases};

on_both_databases![pool_of_one_connection_never_hangs];

async fn pool_of_one_connection_never_hangs(backend: Backend) {
    let app = App::with_settings(backend, &[("DOORWARD_DATABASE_POOL_SIZE", "1")]).await;
    let ann = app.user("ann").await;
    app.installation.create_project("ann", "Herbarium").await;
    let started = Instant::now();
    let inits: Vec<_> = (0..100)
        .map(|_| {
            let http = app.http.clone();
            let token = ann.token.clone();
            tokio::spawn(async move { http.init(&token).await })
        })
        .collect();
    let mut served = 0;
    for init in inits {
        let answer = init.await.expect("an answer");
        if answer.status == 200 {
            served += 1;
        } else {
            answer.assert_unavailable();
        }
    }
    assert!(served > 0);
    assert!(
        started.elapsed() < Duration::from_secs(12),
        "the calls took {:?}",
        started.elapsed()
    );
    eventually("an answer afterwards", Duration::from_secs(2), async || {
        (ann.init().await.status == 200).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn logins_beyond_the_hash_queue_are_rejected_immediately() {
    // One worker, a queue of two, and hashes that take a third of a second.
    let variables = [
        ("DOORWARD_HASH_WORKERS", "1"),
        ("DOORWARD_HASH_QUEUE", "2"),
        ("DOORWARD_ARGON2_MEMORY_KIB", "65536"),
        ("DOORWARD_ARGON2_PASSES", "8"),
    ];
    let app = App::with_settings(Backend::Sqlite, &variables).await;
    app.installation.create_user("ann").await;
    let logins: Vec<_> = (0..30)
        .map(|number| {
            let http = app.http.clone();
            let username = if number % 2 == 0 { "ann" } else { "nobody" };
            tokio::spawn(async move {
                let started = Instant::now();
                (
                    username,
                    http.login(username, PASSWORD).await,
                    started.elapsed(),
                )
            })
        })
        .collect();
    let mut rejected: Vec<(Response, Duration)> = Vec::new();
    for login in logins {
        match login.await.expect("an answer") {
            ("ann", answer, _) if answer.status == 200 => {}
            ("nobody", answer, _) if answer.status == 403 => {}
            (_, answer, elapsed) => rejected.push((answer, elapsed)),
        }
    }
    assert!(
        (15..30).contains(&rejected.len()),
        "{} of 30 were rejected",
        rejected.len()
    );
    for (answer, elapsed) in rejected {
        answer.assert_unavailable();
        assert!(
            elapsed < Duration::from_secs(1),
            "rejected after {elapsed:?}"
        );
    }
    assert_eq!(app.http.login("ann", PASSWORD).await.status, 200);
}

// Hashing must not run on the threads that serve other calls.
#[tokio::test(flavor = "multi_thread")]
async fn other_calls_are_answered_while_all_workers_hash() {
    let app = App::with_settings(
        Backend::Sqlite,
        &[
            ("DOORWARD_ARGON2_MEMORY_KIB", "65536"),
            ("DOORWARD_ARGON2_PASSES", "8"),
        ],
    )
    .await;
    let ann = app.user("ann").await;
    let logins: Vec<_> = (0..8)
        .map(|_| {
            let http = app.http.clone();
            tokio::spawn(async move { http.login("ann", PASSWORD).await.status })
        })
        .collect();
    let mut slowest = Duration::ZERO;
    let mut rounds = 0;
    while logins.iter().any(|login| !login.is_finished()) {
        let started = Instant::now();
        assert_eq!(app.http.status("/api/ping").await, Some(200));
        assert_eq!(ann.init().await.status, 200);
        slowest = slowest.max(started.elapsed());
        rounds += 1;
    }
    for login in logins {
        assert_eq!(login.await.expect("an answer"), 200);
    }
    assert!(
        rounds > 3,
        "the logins ended before other calls were measured"
    );
    assert!(
        slowest < Duration::from_millis(700),
        "slowest: {slowest:?} of {rounds}"
    );
}
