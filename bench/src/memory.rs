//! Measures the private memory and the start-up time of `doorward serve all` over SQLite.

use std::time::Duration;

use anyhow::Context;

use crate::{
    client::Call,
    effort::Effort,
    fill::{PASSWORD, Size, USERNAME, fill},
    hash::cores,
    installation::{Backend, Installation},
    load,
    report::{Measurement, Report},
    rounds,
    statistics::{median, milliseconds},
};

/// Maximum private memory of an idle server.
const IDLE_MIB: f64 = 20.0;
const CONCURRENT_LOGINS: usize = 200;
/// Additional private memory under load: for each hashing thread, and for everything else.
const MIB_PER_WORKER: f64 = 20.0;
const MIB_FOR_THE_REST: f64 = 30.0;
const START_MS: f64 = 300.0;

/// Results of one start of the server.
struct Start {
    milliseconds: f64,
    private_mib: f64,
    resident_mib: f64,
}

/// Results of the server under load.
struct Peak {
    mib: f64,
    answered: usize,
    refused: usize,
}

pub(crate) async fn measure(report: &mut Report, effort: Effort) -> anyhow::Result<()> {
    let installation = Installation::new(Backend::Sqlite)?;
    fill(&installation, Size::SMALL)?;
    let starts = rounds::run(effort, async || {
        let server = installation.serve().await?;
        // The memory is read after two seconds, so that it includes what background tasks allocate.
        tokio::time::sleep(Duration::from_secs(2)).await;
        Ok(Start {
            milliseconds: milliseconds(server.started_in),
            private_mib: server.read_private_mib()?,
            resident_mib: server.resident_mib()?,
        })
    });
    let starts = starts.await?;
    report.add(
        Measurement::of("start to ready", "ms", &starts, |start| start.milliseconds)
            .at_most(START_MS),
    );
    let idle = median(&starts.map(|start| start.private_mib));
    let resident = median(&starts.map(|start| start.resident_mib));
    let note = format!("{resident:.0} MiB with the pages of files");
    report.add(
        Measurement::new("private memory, idle", "MiB", idle)
            .at_most(IDLE_MIB)
            .note(note),
    );

    let server = installation.serve().await?;
    let calls = vec![Call::login(USERNAME, PASSWORD); CONCURRENT_LOGINS];
    let time = Duration::from_secs(if effort.is_quick { 3 } else { 15 });
    // One round with at least one response is enough: memory does not depend on how busy the
    // machine is.
    let series = rounds::run(
        Effort {
            rounds: 1,
            ..effort
        },
        async || {
            let (load, peak) = server
                .measure_peak_private_mib(load::closed_loop(&server, &calls, time))
                .await?;
            let load = load?;
            Ok(Peak {
                mib: peak,
                answered: load.latencies.len(),
                refused: load.refused,
            })
        },
    );
    let peak = series
        .await?
        .values
        .pop()
        .context("no login was answered")?;
    let workers = f64::from(u32::try_from(cores())?);
    let limit = MIB_PER_WORKER.mul_add(workers, idle + MIB_FOR_THE_REST);
    let finding = Measurement::new(
        format!("private memory, {CONCURRENT_LOGINS} concurrent logins"),
        "MiB",
        peak.mib,
    );
    let after = server.read_private_mib()?;
    let note = format!(
        "{} answered, {} rejected with 503; {after:.0} MiB after",
        peak.answered, peak.refused
    );
    report.add(finding.at_most(limit).note(note));
    Ok(())
}
