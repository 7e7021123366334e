//! `make bench`: measures the release binary from outside, each promise against a ceiling of the same run, prints a table
//! and writes `target/bench.json`. Exits with 1 when a promise is not kept.

mod bare;
mod client;
mod fill;
mod hash;
mod import;
mod init;
mod installation;
mod large;
mod load;
mod logins;
mod memory;
mod process;
mod report;
mod scale;
mod socket;
mod sockets;
mod sql;
mod statistics;
mod sync;
mod tokens;

use std::process::ExitCode;

use anyhow::bail;
use installation::Backend;
use report::Report;

const BACKENDS: [Backend; 2] = [Backend::Sqlite, Backend::Postgres];
const NAMES: [&str; 10] =
    ["logins", "login", "init", "scale", "large", "memory", "tokens", "import", "sync", "sockets"];
const USAGE: &str =
    "usage: doorward-bench [--quick] [logins|login|init|scale|large|memory|tokens|import|sync|sockets]...";

/// How long and how often.
#[derive(Clone, Copy)]
struct Effort {
    is_quick: bool,
    /// Pairs of ceiling and measurement, one after the other; medians count.
    rounds: usize,
}

fn main() -> anyhow::Result<ExitCode> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    if let Some(("bare", files)) = words.split_first().map(|(first, rest)| (first.as_str(), rest)) {
        bare::serve(files)?;
        return Ok(ExitCode::SUCCESS);
    }
    let (flags, names): (Vec<&str>, Vec<&str>) =
        words.iter().map(String::as_str).partition(|word| word.starts_with('-'));
    if flags.iter().any(|flag| *flag != "--quick") || names.iter().any(|name| !NAMES.contains(name)) {
        bail!(USAGE);
    }
    let is_quick = !flags.is_empty();
    let effort = Effort { is_quick, rounds: if is_quick { 2 } else { 5 } };
    // One thread: what generates load takes as little as it can from what is measured.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let report = runtime.block_on(run(&names, effort))?;
    report.print()?;
    Ok(if report.is_kept() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn run(names: &[&str], effort: Effort) -> anyhow::Result<Report> {
    let mut report = Report::new(effort.is_quick);
    let is_chosen = |name| names.is_empty() || names.contains(&name);
    // First, while nothing else has run.
    if is_chosen("memory") {
        memory::measure(&mut report, effort).await?;
    }
    if is_chosen("tokens") {
        tokens::measure_checks(&mut report, effort).await?;
        tokens::measure_renewals(&mut report, effort).await?;
    }
    for backend in BACKENDS {
        if is_chosen("logins") {
            logins::measure_throughput(&mut report, backend, effort).await?;
        }
        if is_chosen("login") {
            logins::measure_one(&mut report, backend, effort).await?;
        }
        if is_chosen("init") {
            init::measure(&mut report, backend, effort).await?;
        }
        if is_chosen("scale") {
            scale::measure(&mut report, backend, effort).await?;
        }
        if is_chosen("large") {
            large::measure(&mut report, backend, effort).await?;
        }
        if is_chosen("sync") {
            sync::measure(&mut report, backend, effort).await?;
        }
        if is_chosen("sockets") {
            sockets::measure(&mut report, backend, effort).await?;
        }
        if is_chosen("import") {
            import::measure(&mut report, backend, effort)?;
        }
    }
    Ok(report)
}
