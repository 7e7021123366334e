//! Tests concurrent calls on the same rows over PostgreSQL: every RPC of both services 32 at a
//! time, and all of them mixed. No call may deadlock, and none may wait too long for a connection
//! of the pool.

pub(crate) mod auth_calls;
pub(crate) mod directory_calls;
pub(crate) mod row;
pub(crate) mod scene;

use std::time::Duration;

use doorward_domain::ErrorCode;
use doorward_rpc::{Rpc, RpcError};
use doorward_tests::{Installation, Postgres, backend::Databases};
use futures_util::{StreamExt, future::join_all};
use tonic::Status;

use crate::grpc::parallel::{row::Row, scene::Fixture};

/// Number of concurrent calls.
const AT_ONCE: usize = 32;
/// Number of rounds for each RPC, because a deadlock only occurs if two calls overlap.
const ROUNDS: usize = 3;

/// Returns every RPC; those that remove rows come last.
fn rows(scene: &Fixture) -> Vec<Row> {
    let parts = [
        auth_calls::logins(scene),
        auth_calls::accounts(scene),
        directory_calls::users(scene),
        directory_calls::projects(scene),
        directory_calls::members(scene),
        directory_calls::removals(scene),
        auth_calls::removals(scene),
    ];
    let rows: Vec<Row> = parts.into_iter().flatten().collect();
    for rpc in Rpc::ALL {
        assert!(
            rows.iter().any(|row| row.rpc == *rpc),
            "{rpc:?} is not called"
        );
    }
    rows
}

async fn call(scene: &Fixture, row: &Row, number: usize) -> (Rpc, Result<(), Status>) {
    (row.rpc, (row.call)(scene.channel_of(row.rpc), number).await)
}

/// Checks that a call either succeeded or failed with an error that concurrent calls are allowed to
/// cause.
fn assert_answered(rpc: Rpc, answer: &Result<(), Status>, server: &Postgres) {
    if let Err(status) = answer {
        let error = RpcError::from_service_status(status);
        let is_expected = error.as_ref().is_some_and(|error| {
            !matches!(
                error.code,
                ErrorCode::Internal | ErrorCode::Unavailable | ErrorCode::InvalidRequest
            )
        });
        assert!(is_expected, "{rpc:?}: {status:?}\n{}", deadlocks(server));
    }
}

/// Returns the part of the server's log that reports a deadlock.
fn deadlocks(server: &Postgres) -> String {
    let log = server.log();
    let lines: Vec<&str> = log.lines().collect();
    let found = lines
        .iter()
        .position(|line| line.contains("deadlock detected"));
    found.map_or_else(String::new, |found| {
        lines[found..lines.len().min(found + 20)].join("\n")
    })
}

async fn start(server: &Postgres) -> Fixture {
    let directory = tempfile::tempdir().expect("a directory");
    Fixture::on_installation(Installation::over(Databases::on(server), directory)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn every_rpc_many_times_at_once_on_the_same_rows_does_not_deadlock() {
    let server = Postgres::start();
    let scene = start(&server).await;
    for row in &rows(&scene) {
        for _ in 0..ROUNDS {
            scene.forget_uses();
            let answers = join_all((0..AT_ONCE).map(|number| call(&scene, row, number))).await;
            answers
                .iter()
                .for_each(|(rpc, answer)| assert_answered(*rpc, answer, &server));
            assert_eq!(deadlocks(&server), "", "{:?}", row.rpc);
        }
    }
    scene.assert_no_pool_ran_dry().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn all_rpcs_mixed_on_the_same_rows_do_not_deadlock() {
    let server = Postgres::start();
    let scene = start(&server).await;
    let rows = rows(&scene);
    // Multiples of a step that is coprime to the number of calls visit each call once, in a mixed
    // but fixed order.
    let calls = rows.len() * 8;
    let step = (calls / 3..)
        .find(|step| greatest_common_divisor(*step, calls) == 1)
        .expect("a step");
    let mixed = futures_util::stream::iter((0..calls).map(|number| {
        let shuffled = number * step % calls;
        call(&scene, &rows[shuffled % rows.len()], shuffled / rows.len())
    }));
    let answers: Vec<_> = mixed.buffer_unordered(AT_ONCE).collect().await;
    answers
        .iter()
        .for_each(|(rpc, answer)| assert_answered(*rpc, answer, &server));
    assert_eq!(deadlocks(&server), "");
    scene.assert_no_pool_ran_dry().await;
}

const fn greatest_common_divisor(a: usize, b: usize) -> usize {
    if b == 0 {
        a
    } else {
        greatest_common_divisor(b, a % b)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn api_key_logins_at_once_that_record_their_use_do_not_deadlock() {
    let server = Postgres::start();
    let scene = start(&server).await;
    for _ in 0..10 {
        scene.forget_uses();
        let logins =
            join_all((0..AT_ONCE).map(|_| scene.split.http.auth(&scene.project, &scene.api_key)));
        let logins = tokio::time::timeout(Duration::from_secs(30), logins)
            .await
            .expect("answers");
        logins
            .iter()
            .for_each(|login| assert_eq!(login.status, 200, "{login:?}"));
        assert_eq!(deadlocks(&server), "");
    }
    scene.assert_no_pool_ran_dry().await;
}
