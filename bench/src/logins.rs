//! Logins: how many a second, and how long one takes, against the hash that each of them has to compute.

use std::time::Duration;

use crate::{
    Effort,
    client::{Call, Connection},
    fill::{PASSWORD, Size, USERNAME, fill},
    hash::{self, RawHasher},
    installation::{Backend, Installation},
    load,
    process::Server,
    report::{Measurement, Report},
    rounds,
    statistics::{Pair, median},
};

/// At concurrency 2 x cores.
pub(crate) async fn measure_throughput(
    report: &mut Report,
    backend: Backend,
    effort: Effort,
) -> anyhow::Result<()> {
    let installation = Installation::new(backend)?;
    fill(&installation, Size::SMALL)?;
    let server = installation.serve().await?;
    let calls = vec![Call::login(USERNAME, PASSWORD); 2 * hash::cores()];
    let time = Duration::from_secs(if effort.is_quick { 2 } else { 8 });
    let mut note = String::new();
    let series = rounds::run(effort, async || {
        let ceiling = hash::hashes_per_second(time)?;
        let load = load::closed_loop(&server, &calls, time).await?;
        note = format!(
            "p50 {:.0} ms, p99 {:.0} ms; {}",
            load.percentile(500),
            load.percentile(990),
            load.cpu_note()
        );
        Ok(Pair::new(load.per_second, ceiling)?)
    });
    let series = series.await?;
    let finding = Measurement::of_pairs(format!("logins, {backend}"), "/s", &series, |pair| *pair);
    report.add(finding.at_least(0.95).note(note));
    Ok(())
}

/// Nothing else going on.
pub(crate) async fn measure_one(
    report: &mut Report,
    backend: Backend,
    effort: Effort,
) -> anyhow::Result<()> {
    /// Long enough that caches are warm, short enough that both see the same machine.
    const RUN: usize = 10;
    /// Runs of either kind in a round.
    const RUNS_PER_ROUND: usize = 4;
    let installation = Installation::new(backend)?;
    fill(&installation, Size::SMALL)?;
    let server = installation.serve().await?;
    let mut connection = Connection::open(server.address).await?;
    let mut hasher = RawHasher::default_parameters()?;
    let call = Call::login(USERNAME, PASSWORD);
    load::alone(&mut connection, &call, RUN).await?;
    let (sum, count) = hashing(&server).await?;
    let series = rounds::run(effort, async || {
        let (mut hashes, mut logins) = (Vec::new(), Vec::new());
        for _ in 0..RUNS_PER_ROUND {
            hashes.extend(hash::alone(&mut hasher, RUN)?);
            logins.extend(load::alone(&mut connection, &call, RUN).await?);
        }
        Ok(Pair::new(median(&logins), median(&hashes))?)
    });
    let series = series.await?;
    let (sum_after, count_after) = hashing(&server).await?;
    let in_server = (sum_after - sum) / (count_after - count) * 1000.0;
    let of = |value: fn(&Pair) -> f64| median(&series.map(value));
    let (login, hash) = (of(|pair| pair.measured), of(|pair| pair.ceiling));
    let note = format!(
        "login {login:.2} ms, hash {hash:.2} ms; in the server a hash took {in_server:.2} ms on average"
    );
    let name = format!("one login less one hash, {backend}");
    report.add(
        Measurement::of(name, "ms", &series, |pair| pair.difference())
            .at_most(3.0)
            .note(note),
    );
    Ok(())
}

/// How long the server has hashed in all, in seconds, and how often.
async fn hashing(server: &Server) -> anyhow::Result<(f64, f64)> {
    const HISTOGRAM: &str = "doorward_hash_duration_seconds";
    Ok((
        server.metric(&format!("{HISTOGRAM}_sum")).await?,
        server.metric(&format!("{HISTOGRAM}_count")).await?,
    ))
}
