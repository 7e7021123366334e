//! Tests that response times of failed logins do not reveal whether a user exists, and that huge
//! passwords are not hashed. Argon2 has its default parameters, and the tests must run alone on the
//! machine. Times are equal on an idle machine; docs/security.md describes the effect of load.

use std::time::{Duration, Instant};

use doorward_tests::{App, Backend, Http, Installation, on_both_databases};
use serde_json::{Value, json};

on_both_databases![
    failed_login_times_are_indistinguishable,
    megabyte_password_is_not_hashed
];

/// Number of logins of each kind with each login call.
const LOGINS: usize = 120;
/// Maximum difference of two medians, as a share of the larger one.
const TOLERANCE: f64 = 0.05;
/// Maximum distance from one half of the share of pairs in which one kind took longer than another:
/// three and a half standard deviations with 120 logins of each kind.
const RANK_TOLERANCE: f64 = 0.13;
const WRONG: &str = "a wrong password";
/// Index of the kind with which the others are compared.
const UNKNOWN: usize = 0;
const KINDS: [(&str, &str); 6] = [
    ("nobody", "an unknown user"),
    ("ann", "a wrong password"),
    ("ben", "an inactive user"),
    ("cas", "a user without a password"),
    ("dan", "a user with a foreign hash"),
    ("not a name", "no username"),
];

async fn start(backend: Backend) -> App {
    let installation = Installation::new(backend)
        .without(&["DOORWARD_ARGON2_MEMORY_KIB", "DOORWARD_ARGON2_PASSES"]);
    // The throttle must not reject the measured logins.
    App::on_installation(installation.with(&[("DOORWARD_LOGIN_FAILURES", "1000000")])).await
}

/// Creates the users, all members of one project, and returns its gid. The bcrypt hash is cheaper
/// than argon2id with SQLite and more expensive with PostgreSQL, to test both directions.
async fn fill(app: &App, backend: Backend) -> String {
    let cost = match backend {
        Backend::Sqlite => "08",
        Backend::Postgres => "09",
    };
    let hash = format!("$2b${cost}$N9qo8uLOickgx2ZMRZoMyeIjZAgcfl7p92ldGxad68LJZdL17lhWy");
    let lines = [
        json!({"username": "cas"}),
        json!({"username": "dan", "password_hash": hash}),
    ];
    let file = app.installation.path().join("users.jsonl");
    std::fs::write(&file, lines.map(|line| format!("{line}\n")).concat()).expect("a file");
    app.installation
        .cli(&["user", "import", &file.display().to_string()], "")
        .await
        .assert_success();
    app.installation.create_user("ann").await;
    app.installation.create_user("ben").await;
    let project = app.installation.create_project("ann", "Herbarium").await;
    for member in ["ben", "cas", "dan"] {
        app.installation.add_member(&project, member).await;
    }
    app.installation.change_user("deactivate", "ben").await;
    project
}

async fn failed_login_times_are_indistinguishable(backend: Backend) {
    let app = start(backend).await;
    let project = fill(&app, backend).await;
    // Timing padding delays all failures up to the slower kind of hash, so PostgreSQL tests only
    // one of the two calls.
    let paths = match backend {
        Backend::Sqlite => vec!["/api/login".to_owned(), format!("/api/p/{project}/login")],
        Backend::Postgres => vec![format!("/api/p/{project}/login")],
    };
    for path in paths {
        // The server measures the cost of each kind of hash at its first failure.
        for (username, _) in KINDS {
            failed_login(&app.http, &path, username).await;
        }
        let mut times = KINDS.map(|_| Vec::new());
        for round in 0..LOGINS {
            // The order rotates, so that effects of one login on the next one are spread equally.
            for turn in 0..KINDS.len() {
                let kind = (turn + round) % KINDS.len();
                times[kind].push(failed_login(&app.http, &path, KINDS[kind].0).await);
            }
        }
        assert_alike(&path, &times);
    }
}

async fn failed_login(http: &Http, path: &str, username: &str) -> Duration {
    let body: Value = json!({"username": username, "password": WRONG});
    let started = Instant::now();
    let answer = http.post(path).json(&body).send().await;
    let elapsed = started.elapsed();
    answer.assert_unknown_user();
    elapsed
}

fn assert_alike(path: &str, times: &[Vec<Duration>; KINDS.len()]) {
    let medians = times.each_ref().map(|times| median(times));
    let ranks = times.each_ref().map(|kind| rank(kind, &times[UNKNOWN]));
    let measured: Vec<String> = KINDS
        .iter()
        .zip(medians)
        .zip(ranks)
        .map(|(((_, kind), median), rank)| format!("{kind}: {median:?}, rank {rank:.3}"))
        .collect();
    let least = medians.iter().min().expect("a median");
    let most = medians.iter().max().expect("a median");
    assert!(
        most.as_secs_f64() * (1.0 - TOLERANCE) <= least.as_secs_f64(),
        "{path}: {measured:?}"
    );
    assert!(
        ranks
            .iter()
            .all(|rank| (rank - 0.5).abs() <= RANK_TOLERANCE),
        "{path}: {measured:?}"
    );
    assert!(
        *least > Duration::from_millis(8),
        "the password was not hashed: {path}: {measured:?}"
    );
}

/// Returns the share of all pairs in which the first took longer (Mann-Whitney U); equal times
/// count half.
fn rank(first: &[Duration], second: &[Duration]) -> f64 {
    let twice: usize = first
        .iter()
        .map(|time| {
            second
                .iter()
                .map(|other| 1 + usize::from(time > other) - usize::from(time < other))
                .sum::<usize>()
        })
        .sum();
    #[expect(clippy::cast_precision_loss, reason = "the counts are small")]
    let share = twice as f64 / (2 * first.len() * second.len()) as f64;
    share
}

fn median(times: &[Duration]) -> Duration {
    let mut times = times.to_vec();
    times.sort_unstable();
    times[times.len() / 2]
}

/// Regression test for Django CVE-2013-1443. Reading a megabyte takes time, but hashing it must not
/// add more.
async fn megabyte_password_is_not_hashed(backend: Backend) {
    let app = start(backend).await;
    app.user("ann").await;
    let megabyte = "x".repeat(1_000_000);
    let calls = [
        (
            json!({"username": "ann", "password": "a wrong password"}),
            403,
        ),
        (json!({"username": "ann", "ignored": megabyte}), 400),
        (json!({"username": "ann", "password": megabyte}), 403),
    ];
    let mut times = [const { Vec::new() }; 3];
    // The calls take turns, so that background load affects all of them equally.
    for _ in 0..9 {
        for ((body, status), times) in calls.iter().zip(&mut times) {
            let started = Instant::now();
            let answer = app.http.post("/api/login").json(body).send().await;
            times.push(started.elapsed());
            assert_eq!(answer.status, *status, "{answer:?}");
        }
    }
    let [hashed, read, long] = times.each_ref().map(|times| median(times));
    assert!(
        long < read * 2 + hashed * 2,
        "{long:?}; reading takes {read:?}, a hash {hashed:?}"
    );
    let longer = json!({"username": "ann", "password": megabyte + &"x".repeat(200_000)});
    assert_eq!(
        app.http
            .post("/api/login")
            .json(&longer)
            .send()
            .await
            .status,
        413
    );
}
