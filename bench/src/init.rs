//! `/api/init` of a user with 5 projects of 10 members, against a handler that only checks the token and answers the same
//! bytes.

use std::{net::SocketAddr, path::Path, process::Command, time::Duration};

use anyhow::ensure;
use hyper::StatusCode;

use crate::{
    Effort,
    bare::{self, Recorded},
    client::{Call, Connection, log_in},
    fill::{PASSWORD, Size, USERNAME, fill},
    installation::{Backend, Installation},
    load,
    process::{Server, free_address},
    report::{Finding, Report},
    statistics::{median, median_ratio, medians},
};

pub(crate) const CONNECTIONS: usize = 32;

pub(crate) async fn measure(report: &mut Report, backend: Backend, effort: Effort) -> anyhow::Result<()> {
    let installation = Installation::new(backend)?;
    fill(&installation, Size::SMALL)?;
    let server = installation.serve().await?;
    let call = Call::init(&log_in(server.address, USERNAME, PASSWORD).await?);
    let recorded = record(server.address, &call).await?;
    let bytes = recorded.body.len();
    let bare = start_bare(&installation, &recorded).await?;
    let mut bare_connection = Connection::open(bare.address).await?;
    ensure!(bare_connection.ask(&call).await?.body.len() == bytes, "the ceiling answers something else");

    let calls = vec![call; CONNECTIONS];
    let time = Duration::from_secs(if effort.is_quick { 2 } else { 5 });
    let (mut pairs, mut tails, mut p50s, mut notes) =
        (Vec::new(), Vec::new(), Vec::new(), (String::new(), String::new()));
    for _ in 0..effort.rounds {
        let ceiling = load::closed_loop(&bare, &calls, time).await?;
        let load = load::closed_loop(&server, &calls, time).await?;
        pairs.push((load.per_second, ceiling.per_second));
        p50s.push(load.percentile(500));
        tails.push((load.percentile(990), load.percentile(500)));
        let cpu = |cpu: Duration| cpu.as_secs_f64() * 1e6;
        notes.0 = format!(
            "{bytes} bytes; {}, ceiling {:.0} us; CPU ratio {:.3}",
            load.cpu_note(),
            cpu(ceiling.server_cpu),
            cpu(ceiling.server_cpu) / cpu(load.server_cpu)
        );
        notes.1 = format!("ceiling p50 {:.2} ms, p99 {:.2} ms", ceiling.percentile(500), ceiling.percentile(990));
    }
    let (measured, ceiling) = medians(&pairs);
    let finding = Finding::new(format!("init, {CONNECTIONS} connections, {backend}"), "/s", measured);
    report.add(finding.against(ceiling, median_ratio(&pairs)).at_least(0.4).note(notes.0));
    let (p99, _) = medians(&tails);
    let finding = Finding::new(format!("init, p99 against p50, {backend}"), "ms", p99);
    report.add(finding.against(median(&p50s), median_ratio(&tails)).at_most(5.0).note(notes.1));
    Ok(())
}

/// An answer, and the keys that verify its token.
async fn record(address: SocketAddr, call: &Call) -> anyhow::Result<Recorded> {
    let mut connection = Connection::open(address).await?;
    let answer = connection.ask(call).await?;
    ensure!(answer.status == StatusCode::OK, "{}", String::from_utf8_lossy(&answer.body));
    let keys = connection.ask(&Call::get("/.well-known/jwks.json")).await?;
    // The rest is for each server to add.
    let own = ["content-length", "date", "connection", "transfer-encoding"];
    let headers = answer.headers.iter().filter(|(name, _)| !own.contains(&name.as_str()));
    let headers = headers.map(|(name, value)| Ok((name.to_string(), value.to_str()?.to_owned())));
    Ok(Recorded {
        headers: headers.collect::<anyhow::Result<_>>()?,
        body: String::from_utf8(answer.body)?,
        keys: serde_json::from_slice(&keys.body)?,
    })
}

/// Of this very binary, as a process of its own.
async fn start_bare(installation: &Installation, recorded: &Recorded) -> anyhow::Result<Server> {
    let directory = installation.path().join("bare");
    std::fs::create_dir(&directory)?;
    let file = directory.join("recorded.json");
    std::fs::write(&file, serde_json::to_vec(recorded)?)?;
    let address = free_address()?;
    let mut command = Command::new(std::env::current_exe()?);
    command.arg("bare").arg(address.to_string()).arg(&file);
    Server::start(command, Path::new(&directory), address, (address, bare::HEALTH)).await
}
