//! Tests that the response time of a signup request does not reveal whether an address has an
//! account. Argon2 has its default parameters, and the test must run alone on the machine.

use std::time::{Duration, Instant};

use doorward_tests::{App, Backend, Installation, SmtpServer, on_both_databases};

use crate::accounts::steps::{AccountClient, mailed, newcomer, with};

on_both_databases![signup_request_time_does_not_reveal_accounts];

/// Number of rounds before the first comparison.
const ROUNDS: usize = 200;
/// Maximum number of further rounds. A busy machine needs more rounds until the noise averages out;
/// a real difference remains visible after any number of rounds.
const MORE_ROUNDS: usize = 400;
/// Maximum difference of the medians, as a share of the larger one.
const TOLERANCE: f64 = 0.10;
/// Maximum distance from one half of the share of pairs in which the first kind took longer: three
/// and a half standard deviations with 200 requests of each kind.
const RANK_TOLERANCE: f64 = 0.10;

async fn signup_request_time_does_not_reveal_accounts(backend: Backend) {
    let smtp = SmtpServer::start().await;
    let installation = mailed(Installation::new(backend), &smtp.url());
    let app = App::on_installation(
        installation.without(&["DOORWARD_ARGON2_MEMORY_KIB", "DOORWARD_ARGON2_PASSES"]),
    )
    .await;
    let caller = AccountClient {
        http: &app.http,
        smtp: &smtp,
    };
    app.user("ann").await;
    let bodies =
        ["ann@example.org", "ben@example.org"].map(|email| with(&newcomer("new"), "email", email));
    let mut times = [Vec::new(), Vec::new()];
    for round in 0..ROUNDS + MORE_ROUNDS {
        // The order alternates, so that background load affects both kinds equally.
        for turn in 0..2 {
            let kind = (turn + round) % 2;
            let started = Instant::now();
            let answer = caller.post("/api/signup_request", &bodies[kind]).await;
            times[kind].push(started.elapsed());
            assert_eq!(answer.status, 200, "{answer:?}");
        }
        if round >= ROUNDS && round % 20 == 0 && are_alike(&times) {
            break;
        }
    }
    let medians = times.each_ref().map(|times| median(times));
    let rank = rank(&times);
    assert!(
        are_alike(&times),
        "a known address {:?}, an unknown one {:?}, rank {rank}",
        medians[0],
        medians[1]
    );
    assert!(
        medians[0] > Duration::from_millis(8),
        "the password was not hashed: {medians:?}"
    );
}

fn are_alike(times: &[Vec<Duration>; 2]) -> bool {
    let [known, unknown] = times.each_ref().map(|times| median(times).as_secs_f64());
    known.max(unknown) * (1.0 - TOLERANCE) <= known.min(unknown)
        && (rank(times) - 0.5).abs() <= RANK_TOLERANCE
}

/// Returns the share of all pairs in which the first took longer (Mann-Whitney U).
fn rank([first, second]: &[Vec<Duration>; 2]) -> f64 {
    let longer: usize = first
        .iter()
        .map(|time| second.iter().filter(|other| *other < time).count())
        .sum();
    #[expect(clippy::cast_precision_loss, reason = "the counts are small")]
    let share = longer as f64 / (first.len() * second.len()) as f64;
    share
}

fn median(times: &[Duration]) -> Duration {
    let mut times = times.to_vec();
    times.sort_unstable();
    times[times.len() / 2]
}
