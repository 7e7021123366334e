//! Measures logins per second and the duration of one login. The ceiling is the password hash that
//! each login must compute.

use std::time::Duration;

use crate::{
    client::{Call, Connection},
    effort::Effort,
    fill::{PASSWORD, Size, USERNAME, fill},
    hash::{self, RawHasher},
    installation::{Backend, Installation},
    load,
    process::Server,
    report::{Measurement, Report},
    rounds,
    statistics::{Pair, median},
};

/// Measures logins per second with twice as many connections as cores.
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

/// Measures single logins on an otherwise idle server.
pub(crate) async fn measure_one(
    report: &mut Report,
    backend: Backend,
    effort: Effort,
) -> anyhow::Result<()> {
    /// Number of calls or hashes in one run: enough that caches are warm, and few enough that the
    /// speed of the machine is the same for both kinds of run.
    const RUN: usize = 10;
    /// Number of runs of each kind in a round.
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
        let mut hashes = Vec::new();
        let mut logins = Vec::new();
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
    let login = of(|pair| pair.measured);
    let hash = of(|pair| pair.ceiling);
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

/// Returns how long the server has hashed in total, in seconds, and the number of hashes.
async fn hashing(server: &Server) -> anyhow::Result<(f64, f64)> {
    const HISTOGRAM: &str = "doorward_hash_duration_seconds";
    Ok((
        server.metric(&format!("{HISTOGRAM}_sum")).await?,
        server.metric(&format!("{HISTOGRAM}_count")).await?,
    ))
}
