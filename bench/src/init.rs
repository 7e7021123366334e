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
    sql,
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

    let one = vec![call.clone(); CONNECTIONS];
    let comparison = compare(&server, &bare, &one, effort).await?;
    let name = |what: &str| format!("init, {what}, {backend}");
    let throughput = comparison.throughput(name(&format!("{CONNECTIONS} connections")));
    report.add(throughput.at_least(0.4).note(format!("{bytes} bytes; {}", comparison.cpu)));
    report.add(comparison.tail(name("p99 against p50")).at_most(5.0));

    // The promise is about one caller. These tell how much of it is owed to answers and renewals that are shared.
    let mut many = Vec::new();
    for _ in 0..CONNECTIONS {
        many.push(Call::init(&log_in(server.address, USERNAME, PASSWORD).await?));
    }
    let comparison = compare(&server, &bare, &many, effort).await?;
    report.add(comparison.throughput(name("a token for each connection")).note(comparison.cpu));
    let mut connection = Connection::open(server.address).await?;
    let (mut unchanged, mut changed) = (Vec::new(), Vec::new());
    for _ in 0..effort.rounds * 40 {
        sql::execute(&installation.directory_url, "UPDATE feed_head SET cursor = cursor + 1")?;
        changed.extend(load::alone(&mut connection, &call, 1).await?);
        unchanged.extend(load::alone(&mut connection, &call, 1).await?);
    }
    let alone = Finding::new(name("alone, after a change"), "ms", median(&changed));
    report.add(alone.note(format!("{:.2} ms when nothing has changed", median(&unchanged))));
    Ok(())
}

/// Under the same load, in turns.
struct Comparison {
    /// Requests a second: the server, the ceiling.
    rates: Vec<(f64, f64)>,
    /// Milliseconds: p99, p50.
    tails: Vec<(f64, f64)>,
    ceiling_tail: (f64, f64),
    cpu: String,
}

async fn compare(server: &Server, bare: &Server, calls: &[Call], effort: Effort) -> anyhow::Result<Comparison> {
    let time = Duration::from_secs(if effort.is_quick { 2 } else { 5 });
    let mut comparison =
        Comparison { rates: Vec::new(), tails: Vec::new(), ceiling_tail: (0.0, 0.0), cpu: String::new() };
    for _ in 0..effort.rounds {
        let ceiling = load::closed_loop(bare, calls, time).await?;
        let load = load::closed_loop(server, calls, time).await?;
        comparison.rates.push((load.per_second, ceiling.per_second));
        comparison.tails.push((load.percentile(990), load.percentile(500)));
        comparison.ceiling_tail = (ceiling.percentile(990), ceiling.percentile(500));
        comparison.cpu = format!("{}; ceiling {} us", load.cpu_note(), ceiling.server_cpu.as_micros());
    }
    Ok(comparison)
}

impl Comparison {
    fn throughput(&self, name: String) -> Finding {
        let (measured, ceiling) = medians(&self.rates);
        Finding::new(name, "/s", measured).against(ceiling, median_ratio(&self.rates))
    }

    fn tail(&self, name: String) -> Finding {
        let (p99, p50) = medians(&self.tails);
        let (ceiling_p99, ceiling_p50) = self.ceiling_tail;
        let note = format!("of the ceiling: {ceiling_p99:.2} and {ceiling_p50:.2} ms");
        Finding::new(name, "ms", p99).against(p50, median_ratio(&self.tails)).note(note)
    }
}

/// An answer, and the keys that verify its token.
pub(crate) async fn record(address: SocketAddr, call: &Call) -> anyhow::Result<Recorded> {
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
pub(crate) async fn start_bare(installation: &Installation, recorded: &Recorded) -> anyhow::Result<Server> {
    let directory = installation.path().join("bare");
    std::fs::create_dir(&directory)?;
    let file = directory.join("recorded.json");
    std::fs::write(&file, serde_json::to_vec(recorded)?)?;
    let address = free_address()?;
    let mut command = Command::new(std::env::current_exe()?);
    command.arg("bare").arg(address.to_string()).arg(&file);
    Server::start(command, Path::new(&directory), address, (address, bare::HEALTH)).await
}
