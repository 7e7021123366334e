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
    report::{Finding, Report},
    statistics::{median, median_ratio, medians},
};

/// At concurrency 2 x cores.
pub(crate) async fn measure_throughput(report: &mut Report, backend: Backend, effort: Effort) -> anyhow::Result<()> {
    let installation = Installation::new(backend)?;
    fill(&installation, Size::SMALL)?;
    let server = installation.serve().await?;
    let calls = vec![Call::login(USERNAME, PASSWORD); 2 * hash::cores()];
    let time = Duration::from_secs(if effort.is_quick { 2 } else { 8 });
    let mut pairs = Vec::new();
    let (mut note, mut least_share) = (String::new(), f64::INFINITY);
    for _ in 0..effort.rounds {
        let (ceiling, share) = hash::on_all_cores(time)?;
        least_share = least_share.min(share);
        let load = load::closed_loop(&server, &calls, time).await?;
        pairs.push((load.per_second, ceiling));
        note = format!("p50 {:.0} ms, p99 {:.0} ms; {}", load.percentile(500), load.percentile(990), load.cpu_note());
    }
    let (measured, ceiling) = medians(&pairs);
    let finding = Finding::new(format!("logins, {backend}"), "/s", measured);
    let note = format!("{note}; the ceiling had at least {:.0} % of the machine", least_share * 100.0);
    report.add(finding.against(ceiling, median_ratio(&pairs)).at_least(0.95).note(note));
    Ok(())
}

/// Nothing else going on.
pub(crate) async fn measure_one(report: &mut Report, backend: Backend, effort: Effort) -> anyhow::Result<()> {
    /// Long enough that caches are warm, short enough that both see the same machine.
    const RUN: usize = 10;
    let installation = Installation::new(backend)?;
    fill(&installation, Size::SMALL)?;
    let server = installation.serve().await?;
    let mut connection = Connection::open(server.address).await?;
    let mut hasher = RawHasher::default_parameters()?;
    let call = Call::login(USERNAME, PASSWORD);
    load::alone(&mut connection, &call, RUN).await?;
    let (mut hashes, mut logins) = (Vec::new(), Vec::new());
    let (sum, count) = hashing(&server).await?;
    for _ in 0..effort.rounds * 4 {
        hashes.extend(hash::alone(&mut hasher, RUN)?);
        logins.extend(load::alone(&mut connection, &call, RUN).await?);
    }
    let (hash, login) = (median(&hashes), median(&logins));
    let (sum_after, count_after) = hashing(&server).await?;
    let in_server = (sum_after - sum) / (count_after - count) * 1000.0;
    let finding = Finding::new(format!("one login less one hash, {backend}"), "ms", login - hash);
    let note =
        format!("login {login:.2} ms, hash {hash:.2} ms; in the server a hash took {in_server:.2} ms on average");
    report.add(finding.at_most(3.0).note(note));
    Ok(())
}

/// How long the server has hashed in all, in seconds, and how often.
async fn hashing(server: &Server) -> anyhow::Result<(f64, f64)> {
    const HISTOGRAM: &str = "doorward_hash_duration_seconds";
    Ok((server.metric(&format!("{HISTOGRAM}_sum")).await?, server.metric(&format!("{HISTOGRAM}_count")).await?))
}
