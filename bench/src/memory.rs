//! Memory and start of `doorward serve all` over SQLite.

use std::time::Duration;

use crate::{
    Effort,
    client::Call,
    fill::{PASSWORD, Size, USERNAME, fill},
    hash::cores,
    installation::{Backend, Installation},
    load,
    report::{Finding, Report},
    statistics::{median, milliseconds},
};

const IDLE_MIB: f64 = 30.0;
const CONCURRENT_LOGINS: usize = 200;
/// Under load, for each hashing thread, and for all else.
const MIB_PER_WORKER: f64 = 20.0;
const MIB_BESIDES: f64 = 30.0;
const STARTS: usize = 5;
const START_MS: f64 = 300.0;

pub(crate) async fn measure(report: &mut Report, effort: Effort) -> anyhow::Result<()> {
    let installation = Installation::new(Backend::Sqlite)?;
    fill(&installation, Size::SMALL)?;
    let (mut starts, mut idle) = (Vec::new(), Vec::new());
    for _ in 0..STARTS {
        let server = installation.serve().await?;
        starts.push(milliseconds(server.started_in));
        // Not the moment of the start alone: also what a little idling brings.
        tokio::time::sleep(Duration::from_secs(2)).await;
        idle.push(server.resident_mib()?);
    }
    let idle = median(&idle);
    report.add(Finding::new("start to ready", "ms", median(&starts)).at_most(START_MS));
    report.add(Finding::new("memory, idle", "MiB", idle).at_most(IDLE_MIB));

    let server = installation.serve().await?;
    let calls = vec![Call::login(USERNAME, PASSWORD); CONCURRENT_LOGINS];
    let time = Duration::from_secs(if effort.is_quick { 3 } else { 15 });
    let load = load::closed_loop(&server, &calls, time).await?;
    let workers = f64::from(u32::try_from(cores())?);
    let limit = MIB_PER_WORKER.mul_add(workers, idle + MIB_BESIDES);
    let finding = Finding::new(format!("memory, {CONCURRENT_LOGINS} concurrent logins"), "MiB", server.peak_mib()?);
    let after = server.resident_mib()?;
    let note = format!("{} answered, {} told to wait; {after:.0} MiB after", load.latencies.len(), load.refused);
    report.add(finding.at_most(limit).note(note));
    Ok(())
}
