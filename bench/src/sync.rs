//! Measures `/sync/get`. Without new rows, the ceiling is that of an init. With a few rows, a feed
//! with millions of rows of other users is compared with a feed of few rows: the size of the feed
//! must not matter.

use std::time::Duration;

use anyhow::{Context, ensure};
use serde_json::Value;

use crate::{
    client::{Call, Connection, log_in},
    effort::Effort,
    fill::{PASSWORD, Size, USERNAME, fill},
    init::{CONNECTIONS, record, start_ceiling},
    installation::{Backend, Installation},
    load,
    process::Server,
    report::{Measurement, Report},
    rounds, sql,
    statistics::{Pair, median},
};

const LIMIT: f64 = 1.2;
const MIN_CEILING_RATIO: f64 = 0.4;
const ROWS: u32 = 5_000_000;
const ROWS_QUICK: u32 = 200_000;
/// Number of changes that are delivered to the user.
const CHANGES: usize = 10;

struct BenchServer {
    server: Server,
    connection: Connection,
    /// A sync without new rows.
    idle: Call,
    /// A sync from a cursor before all the rows of others; the caller's rows come after these.
    behind: Call,
    init: Call,
}

impl BenchServer {
    /// Starts a server whose feed has `others` changes of other users, followed by the caller's
    /// changes.
    async fn open(installation: &Installation, others: u32) -> anyhow::Result<Self> {
        let server = installation.serve().await?;
        let token = log_in(server.address, USERNAME, PASSWORD).await?;
        let start = cursor(&mut Connection::open(server.address).await?, &token).await?;
        fill_feed(installation, others)?;
        let mut connection = Connection::open(server.address).await?;
        for number in 0..CHANGES {
            let body = serde_json::json!({"name": format!("Ann {number}")});
            connection
                .ask(&Call::post_as("/api/account/update", &token, &body))
                .await?;
        }
        let end = cursor(&mut connection, &token).await?;
        let sync = |cursor: i64| {
            Call::post_as(
                "/sync/get",
                &token,
                &serde_json::json!({"cc_cursor": cursor}),
            )
        };
        let idle = sync(end);
        let behind = sync(start);
        let init = Call::init(&token);
        let page: Value = serde_json::from_slice(&connection.ask(&behind).await?.body)?;
        let rows = page
            .pointer("/result/sync")
            .and_then(Value::as_array)
            .map(Vec::len);
        ensure!(rows == Some(CHANGES), "{page}");
        Ok(Self {
            server,
            connection,
            idle,
            behind,
            init,
        })
    }

    /// Returns the time between two responses under load, in milliseconds: how long one call keeps
    /// the whole machine busy.
    async fn loaded(&self, call: &Call, time: Duration) -> anyhow::Result<f64> {
        let calls = vec![call.clone(); CONNECTIONS];
        Ok(1000.0
            / load::closed_loop(&self.server, &calls, time)
                .await?
                .per_second)
    }

    async fn alone(&mut self) -> anyhow::Result<Vec<f64>> {
        load::alone(&mut self.connection, &self.behind, 20).await
    }
}

/// Measures both servers in turns, so that a slow moment of the machine affects both.
async fn compare_alone(large: &mut BenchServer, small: &mut BenchServer) -> anyhow::Result<Pair> {
    let mut in_large = Vec::new();
    let mut in_small = Vec::new();
    for _ in 0..5 {
        in_large.extend(large.alone().await?);
        in_small.extend(small.alone().await?);
    }
    Ok(Pair::new(median(&in_large), median(&in_small))?)
}

async fn cursor(connection: &mut Connection, token: &str) -> anyhow::Result<i64> {
    let answer = connection
        .ask(&Call::post_as(
            "/sync/cursors",
            token,
            &serde_json::json!({}),
        ))
        .await?;
    let answer: Value = serde_json::from_slice(&answer.body)?;
    answer
        .pointer("/result/cc.cursor")
        .and_then(Value::as_i64)
        .context("no cursor")
}

/// Writes changes of 20,000 projects of other users in the form in which the directory writes them.
fn fill_feed(installation: &Installation, rows: u32) -> anyhow::Result<()> {
    let numbers = if installation.directory_url.starts_with("sqlite://") {
        format!(
            "(WITH RECURSIVE count(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM count WHERE n < {rows}) SELECT n FROM count)"
        )
    } else {
        format!("(SELECT n FROM generate_series(1, {rows}) AS series (n))")
    };
    let gid = if installation.directory_url.starts_with("sqlite://") {
        "printf('00000000-0000-4000-8000-%012d', n % 20000)"
    } else {
        "'00000000-0000-4000-8000-' || lpad((n % 20000)::text, 12, '0')"
    };
    let feed = format!(
        "BEGIN; \
         INSERT INTO feed_changes (cursor, action, data_type, data_key, entry_status, changed_at) \
         SELECT feed_head.cursor + n, 'UPDATE', 'cc.projects', {gid}, 'active', 9000000000000000 FROM {numbers} AS numbers, feed_head; \
         INSERT INTO feed_events (audience, cursor, action, data_type, data_key) \
         SELECT 'project/' || {gid}, feed_head.cursor + n, 'UPDATE', 'cc.projects', {gid} FROM {numbers} AS numbers, feed_head; \
         UPDATE feed_head SET cursor = cursor + {rows}; COMMIT;"
    );
    sql::execute(&installation.directory_url, &feed)?;
    if installation.directory_url.starts_with("sqlite://") {
        // In production so many rows are written over weeks, so the write-ahead log is never so
        // long.
        sql::execute(
            &installation.directory_url,
            "PRAGMA wal_checkpoint(TRUNCATE)",
        )?;
    }
    sql::analyze(&installation.directory_url)
}

type PairOf = fn(&Round) -> Pair;

struct Round {
    /// Calls per second, against the ceiling.
    rates: Pair,
    /// Milliseconds in the large feed, against the small one; also for the two fields below.
    idle: Pair,
    behind: Pair,
    alone: Pair,
}

pub(crate) async fn measure(
    report: &mut Report,
    backend: Backend,
    effort: Effort,
) -> anyhow::Result<()> {
    let rows = if effort.is_quick { ROWS_QUICK } else { ROWS };
    let few = Installation::new(backend)?;
    let many = Installation::new(backend)?;
    fill(&few, Size::SMALL)?;
    fill(&many, Size::SMALL)?;
    // The large one first: filling its feed takes longer than an idle connection to the small
    // server stays open.
    let mut large = BenchServer::open(&many, rows).await?;
    let mut small = BenchServer::open(&few, 1).await?;
    let recorded = record(small.server.address, &small.init).await?;
    let ceiling_server = start_ceiling(&few, &recorded).await?;
    let time = Duration::from_secs(if effort.is_quick { 1 } else { 4 });

    let series = rounds::run(effort, async || {
        let ceiling = load::closed_loop(
            &ceiling_server,
            &vec![small.init.clone(); CONNECTIONS],
            time,
        )
        .await?
        .per_second;
        let in_small = small.loaded(&small.idle, time).await?;
        Ok(Round {
            rates: Pair::new(1000.0 / in_small, ceiling)?,
            idle: Pair::new(large.loaded(&large.idle, time).await?, in_small)?,
            behind: Pair::new(
                large.loaded(&large.behind, time).await?,
                small.loaded(&small.behind, time).await?,
            )?,
            alone: compare_alone(&mut large, &mut small).await?,
        })
    });
    let series = series.await?;
    let name = format!("sync, nothing new, {CONNECTIONS} connections, {backend}");
    report.add(
        Measurement::of_pairs(name, "/s", &series, |round| round.rates).at_least(MIN_CEILING_RATIO),
    );
    let sizes = format!("a feed of {rows} rows against one of few");
    let findings: [(&str, PairOf); 3] = [
        ("nothing new", |round| round.idle),
        ("10 rows behind all others', under load", |round| {
            round.behind
        }),
        ("10 rows behind all others', alone", |round| round.alone),
    ];
    for (what, pair) in findings {
        let finding =
            Measurement::of_pairs(format!("sync, {what}, {backend}"), "ms", &series, pair);
        report.add(finding.at_most(LIMIT).note(sizes.clone()));
    }
    Ok(())
}
