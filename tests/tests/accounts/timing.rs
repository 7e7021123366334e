//! SECURITY-CASES: enumeration by time, in the first step of a signup. With argon2 at its defaults; needs a machine to itself.

use std::time::{Duration, Instant};

use doorward_tests::{App, Backend, Installation, SmtpServer, on_both_databases};

use crate::accounts::steps::{AccountClient, mailed, newcomer, with};

on_both_databases![signup_request_time_does_not_reveal_accounts];

const ROUNDS: usize = 200;
/// On a busy machine it takes longer to see what is there. A difference that is there is seen however long one looks.
const MORE_ROUNDS: usize = 400;
/// What may lie between the medians, in parts of the larger one.
const TOLERANCE: f64 = 0.10;
/// How far from one half the share of pairs may be in which the first of two kinds took longer: three and a half standard
/// deviations of 200 each.
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
    let asked =
        ["ann@example.org", "ben@example.org"].map(|email| with(&newcomer("new"), "email", email));
    let mut times = [Vec::new(), Vec::new()];
    for round in 0..ROUNDS + MORE_ROUNDS {
        for turn in 0..2 {
            let kind = (turn + round) % 2;
            let started = Instant::now();
            let answer = caller.post("/api/signup_request", &asked[kind]).await;
            times[kind].push(started.elapsed());
            assert_eq!(answer.status, 200, "{answer:?}");
        }
        if round >= ROUNDS && round % 20 == 0 && are_alike(&times) {
            break;
        }
    }
    let (medians, rank) = (times.each_ref().map(|times| median(times)), rank(&times));
    assert!(
        are_alike(&times),
        "a known address {:?}, an unknown one {:?}, rank {rank}",
        medians[0],
        medians[1]
    );
    assert!(
        medians[0] > Duration::from_millis(8),
        "no hash takes so little: {medians:?}"
    );
}

fn are_alike(times: &[Vec<Duration>; 2]) -> bool {
    let [known, unknown] = times.each_ref().map(|times| median(times).as_secs_f64());
    known.max(unknown) * (1.0 - TOLERANCE) <= known.min(unknown)
        && (rank(times) - 0.5).abs() <= RANK_TOLERANCE
}

/// In how many of all pairs the first took longer (Mann-Whitney), as a share.
fn rank([first, second]: &[Vec<Duration>; 2]) -> f64 {
    let longer: usize = first
        .iter()
        .map(|time| second.iter().filter(|other| *other < time).count())
        .sum();
    #[expect(clippy::cast_precision_loss, reason = "some ten thousand")]
    let share = longer as f64 / (first.len() * second.len()) as f64;
    share
}

fn median(times: &[Duration]) -> Duration {
    let mut times = times.to_vec();
    times.sort_unstable();
    times[times.len() / 2]
}
