//! `make bench`: measures the release binary from outside, compares each target with a ceiling of
//! the same run, prints a table and writes `target/bench.json`. Exits with 1 if a target is missed;
//! on a busy machine a target is reported as undecided, not as missed.
//! `make bench-peers` measures the competitors, Doorward included, under the same load.

mod ceiling;
mod client;
mod competitors;
mod effort;
mod fill;
mod hash;
mod import;
mod init;
mod installation;
mod installation_size;
mod large_projects;
mod load;
mod logins;
mod machine;
mod memory;
mod process;
mod report;
mod rounds;
mod socket;
mod sockets;
mod sql;
mod statistics;
mod sync;
mod tokens;

use std::process::ExitCode;

use anyhow::bail;
use effort::Effort;
use installation::Backend;
use machine::Machine;
use report::Report;

const BACKENDS: [Backend; 2] = [Backend::Sqlite, Backend::Postgres];
/// Sections over SQLite only. They run first, before anything else has used the machine.
const SECTIONS: [&str; 2] = ["memory", "tokens"];
/// Sections over each of the databases.
const SECTIONS_PER_BACKEND: [&str; 8] = [
    "logins", "login", "init", "scale", "large", "sync", "sockets", "import",
];
const USAGE: &str = "usage: doorward-bench [--quick] [peers | [memory|tokens|logins|login|init|scale|large|sync|sockets|import]...]";

fn main() -> anyhow::Result<ExitCode> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    if let Some(("ceiling", files)) = words
        .split_first()
        .map(|(first, rest)| (first.as_str(), rest))
    {
        ceiling::serve(files)?;
        return Ok(ExitCode::SUCCESS);
    }
    let (flags, names): (Vec<&str>, Vec<&str>) = words
        .iter()
        .map(String::as_str)
        .partition(|word| word.starts_with('-'));
    let is_section = |name: &&str| SECTIONS.contains(name) || SECTIONS_PER_BACKEND.contains(name);
    if flags.iter().any(|flag| *flag != "--quick")
        || !(names == ["peers"] || names.iter().all(is_section))
    {
        bail!(USAGE);
    }
    let is_quick = !flags.is_empty();
    let effort = Effort {
        is_quick,
        rounds: if is_quick { 2 } else { 5 },
        machine: Machine::new(),
    };
    // One thread, so that generating load takes as little CPU as possible from the server that is
    // measured.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    if names == ["peers"] {
        runtime.block_on(competitors::compare(effort))?;
        return Ok(ExitCode::SUCCESS);
    }
    let report = runtime.block_on(run(&names, effort));
    report.print()?;
    Ok(if report.is_met() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Measures all sections, or the named ones. A section that fails does not stop the others.
async fn run(names: &[&str], effort: Effort) -> Report {
    let mut report = Report::new(effort.is_quick);
    let is_chosen = |name: &&str| names.is_empty() || names.contains(name);
    for section in SECTIONS.into_iter().filter(is_chosen) {
        let outcome = measure(section, &mut report, effort).await;
        report.end_section(section, outcome);
    }
    for backend in BACKENDS {
        for section in SECTIONS_PER_BACKEND.into_iter().filter(is_chosen) {
            let outcome = measure_backend(section, &mut report, backend, effort).await;
            report.end_section(&format!("{section}, {backend}"), outcome);
        }
    }
    report
}

async fn measure(section: &str, report: &mut Report, effort: Effort) -> anyhow::Result<()> {
    match section {
        "memory" => memory::measure(report, effort).await,
        "tokens" => {
            tokens::measure_checks(report, effort).await?;
            tokens::measure_renewals(report, effort).await
        }
        unknown => bail!("no section {unknown}"),
    }
}

async fn measure_backend(
    section: &str,
    report: &mut Report,
    backend: Backend,
    effort: Effort,
) -> anyhow::Result<()> {
    match section {
        "logins" => logins::measure_throughput(report, backend, effort).await,
        "login" => logins::measure_one(report, backend, effort).await,
        "init" => init::measure(report, backend, effort).await,
        "scale" => installation_size::measure(report, backend, effort).await,
        "large" => large_projects::measure(report, backend, effort).await,
        "sync" => sync::measure(report, backend, effort).await,
        "sockets" => sockets::measure(report, backend, effort).await,
        "import" => import::measure(report, backend, effort).await,
        unknown => bail!("no section {unknown}"),
    }
}
