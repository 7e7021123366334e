//! SECURITY-CASES: enumeration by time, costly hashes. With argon2 at its defaults; needs a machine to itself.

use std::time::{Duration, Instant};

use doorward_tests::{App, Backend, Installation, on_both_databases};
use serde_json::json;

on_both_databases![the_time_of_a_failed_login_tells_nothing, a_password_of_a_megabyte_costs_nothing];

const ROUNDS: usize = 60;
/// On a busy machine it takes longer to see what is there. A difference that is there is seen however long one looks.
const MORE_ROUNDS: usize = 240;
/// What may lie between the medians, in parts of the largest.
const TOLERANCE: f64 = 0.10;
const KINDS: [(&str, &str); 4] = [
    ("nobody", "an unknown user"),
    ("ann", "a wrong password"),
    ("ben", "an inactive user"),
    ("not a name", "no username"),
];

async fn start(backend: Backend) -> App {
    let installation = Installation::new(backend).without(&["DOORWARD_ARGON2_MEMORY_KIB", "DOORWARD_ARGON2_PASSES"]);
    // Guesses are what is measured.
    App::of(installation.with(&[("DOORWARD_LOGIN_FAILURES", "1000000")])).await
}

async fn the_time_of_a_failed_login_tells_nothing(backend: Backend) {
    let app = start(backend).await;
    app.user("ann").await;
    app.user("ben").await;
    app.installation.change_user("deactivate", "ben").await;
    let mut times = KINDS.map(|_| Vec::new());
    for round in 0..ROUNDS + MORE_ROUNDS {
        // In a different order each time, so that what one leaves behind reaches all alike.
        for turn in 0..KINDS.len() {
            let kind = (turn + round) % KINDS.len();
            let started = Instant::now();
            let answer = app.http.login(KINDS[kind].0, "a wrong password").await;
            times[kind].push(started.elapsed());
            answer.assert_unknown_user();
        }
        if round >= ROUNDS && round % 20 == 0 && are_alike(&times.each_ref().map(|times| median(times))) {
            break;
        }
    }
    let medians = times.each_ref().map(|times| median(times));
    let told: Vec<String> =
        KINDS.iter().zip(medians).map(|((_, kind), median)| format!("{kind}: {median:?}")).collect();
    assert!(are_alike(&medians), "{told:?}");
    assert!(medians.iter().all(|median| *median > Duration::from_millis(8)), "no hash takes so little: {told:?}");
}

fn are_alike(medians: &[Duration]) -> bool {
    let (least, most) = (medians.iter().min().expect("some"), medians.iter().max().expect("some"));
    most.as_secs_f64() * (1.0 - TOLERANCE) <= least.as_secs_f64()
}

fn median(times: &[Duration]) -> Duration {
    let mut times = times.to_vec();
    times.sort_unstable();
    times[times.len() / 2]
}

/// Django CVE-2013-1443. Reading a megabyte takes its time, but no more than when nobody hashes it.
async fn a_password_of_a_megabyte_costs_nothing(backend: Backend) {
    let app = start(backend).await;
    app.user("ann").await;
    let megabyte = "x".repeat(1_000_000);
    let calls = [
        (json!({"username": "ann", "password": "a wrong password"}), 403),
        (json!({"username": "ann", "ignored": megabyte}), 400),
        (json!({"username": "ann", "password": megabyte}), 403),
    ];
    let mut times = [const { Vec::new() }; 3];
    // By turns, so that a busy moment reaches all alike.
    for _ in 0..9 {
        for ((body, status), times) in calls.iter().zip(&mut times) {
            let started = Instant::now();
            let answer = app.http.post("/api/login").json(body).send().await;
            times.push(started.elapsed());
            assert_eq!(answer.status, *status, "{answer:?}");
        }
    }
    let [hashed, read, long] = times.each_ref().map(|times| median(times));
    assert!(long < read * 2 + hashed * 2, "{long:?}; to read it takes {read:?}, a hash {hashed:?}");
    let longer = json!({"username": "ann", "password": megabyte + &"x".repeat(200_000)});
    assert_eq!(app.http.post("/api/login").json(&longer).send().await.status, 413);
}
