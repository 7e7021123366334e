//! Measures `/api/init` of a user with 5 projects of 10 members each. The ceiling is a handler that
//! only checks the token and responds with the same bytes.

use std::{net::SocketAddr, path::Path, process::Command, time::Duration};

use anyhow::ensure;
use hyper::StatusCode;

use crate::{
    ceiling::{self, RecordedResponse},
    client::{Call, Connection, log_in},
    effort::Effort,
    fill::{PASSWORD, Size, USERNAME, fill},
    installation::{Backend, Installation},
    load::{self, Load},
    process::{Server, free_address},
    report::{Measurement, Report},
    rounds::{self, Series},
    sql,
    statistics::{Pair, median},
};

pub(crate) const CONNECTIONS: usize = 32;
/// Number of calls of each kind in a round of sequential calls.
const SINGLE_CALLS: usize = 40;

pub(crate) async fn measure(
    report: &mut Report,
    backend: Backend,
    effort: Effort,
) -> anyhow::Result<()> {
    let installation = Installation::new(backend)?;
    fill(&installation, Size::SMALL)?;
    let server = installation.serve().await?;
    let call = Call::init(&log_in(server.address, USERNAME, PASSWORD).await?);
    let recorded = record(server.address, &call).await?;
    let bytes = recorded.body.len();
    let ceiling_server = start_ceiling(&installation, &recorded).await?;
    let mut ceiling_connection = Connection::open(ceiling_server.address).await?;
    ensure!(
        ceiling_connection.ask(&call).await?.body.len() == bytes,
        "the ceiling answers something else"
    );

    let one = vec![call.clone(); CONNECTIONS];
    let series = compare(&server, &ceiling_server, &one, effort).await?;
    let name = |what: &str| format!("init, {what}, {backend}");
    let rates = throughput(
        name(&format!("{CONNECTIONS} connections")),
        &series,
        &format!("{bytes} bytes; "),
    );
    report.add(rates.at_least(0.4));
    let of_ceiling =
        |value: fn(&Pair) -> f64| median(&series.map(|round| value(&round.ceiling_tail)));
    let note = format!(
        "of the ceiling: {:.2} and {:.2} ms",
        of_ceiling(|tail| tail.measured),
        of_ceiling(|tail| tail.ceiling)
    );
    report.add(
        Measurement::of_pairs(name("p99 against p50"), "ms", &series, |round| round.tail)
            .at_most(5.0)
            .note(note),
    );

    // The target above is for calls with one token, which share cached responses and renewals. The
    // same load with one token for each connection shows how much of the rate is due to that.
    let mut many = Vec::new();
    for _ in 0..CONNECTIONS {
        many.push(Call::init(
            &log_in(server.address, USERNAME, PASSWORD).await?,
        ));
    }
    let series = compare(&server, &ceiling_server, &many, effort).await?;
    report.add(throughput(name("a token for each connection"), &series, ""));
    let mut connection = Connection::open(server.address).await?;
    let alone = rounds::run(effort, async || {
        alone(&installation, &mut connection, &call, SINGLE_CALLS).await
    })
    .await?;
    let note = format!(
        "{:.2} ms when nothing has changed",
        median(&alone.map(|alone| alone.unchanged))
    );
    report.add(
        Measurement::of(name("alone, after a change"), "ms", &alone, |alone| {
            alone.changed
        })
        .note(note),
    );
    Ok(())
}

/// Medians of sequential inits, in milliseconds.
pub(crate) struct Alone {
    pub(crate) changed: f64,
    pub(crate) unchanged: f64,
}

/// Measures inits in turns: one after a change of the feed, and one without a change.
pub(crate) async fn alone(
    installation: &Installation,
    connection: &mut Connection,
    call: &Call,
    count: usize,
) -> anyhow::Result<Alone> {
    let mut unchanged = Vec::new();
    let mut changed = Vec::new();
    for _ in 0..count {
        sql::execute(
            &installation.directory_url,
            "UPDATE feed_head SET cursor = cursor + 1",
        )?;
        changed.extend(load::alone(connection, call, 1).await?);
        unchanged.extend(load::alone(connection, call, 1).await?);
    }
    Ok(Alone {
        changed: median(&changed),
        unchanged: median(&unchanged),
    })
}

/// Results of one round: the server and the ceiling under the same load.
struct Comparison {
    /// Requests per second of the server, against those of the ceiling.
    rates: Pair,
    /// 99th percentile of the server's latency in milliseconds, against its median.
    tail: Pair,
    /// The same for the ceiling.
    ceiling_tail: Pair,
    cpu: String,
}

async fn compare(
    server: &Server,
    ceiling_server: &Server,
    calls: &[Call],
    effort: Effort,
) -> anyhow::Result<Series<Comparison>> {
    let time = Duration::from_secs(if effort.is_quick { 2 } else { 5 });
    let tail = |load: &Load| Pair::new(load.percentile(990), load.percentile(500));
    let round = async || {
        let ceiling = load::closed_loop(ceiling_server, calls, time).await?;
        let load = load::closed_loop(server, calls, time).await?;
        Ok(Comparison {
            rates: Pair::new(load.per_second, ceiling.per_second)?,
            tail: tail(&load)?,
            ceiling_tail: tail(&ceiling)?,
            cpu: format!(
                "{}; ceiling {} us",
                load.cpu_note(),
                ceiling.server_cpu.as_micros()
            ),
        })
    };
    rounds::run(effort, round).await
}

fn throughput(name: String, series: &Series<Comparison>, note: &str) -> Measurement {
    let cpu = series
        .values
        .last()
        .map(|round| round.cpu.as_str())
        .unwrap_or_default();
    Measurement::of_pairs(name, "/s", series, |round| round.rates).note(format!("{note}{cpu}"))
}

/// Returns the response to a call, and the keys that verify its token.
pub(crate) async fn record(address: SocketAddr, call: &Call) -> anyhow::Result<RecordedResponse> {
    let mut connection = Connection::open(address).await?;
    let answer = connection.ask(call).await?;
    ensure!(
        answer.status == StatusCode::OK,
        "{}",
        String::from_utf8_lossy(&answer.body)
    );
    let keys = connection.ask(&Call::get("/.well-known/jwks.json")).await?;
    // Each server adds these headers to its own responses.
    let added_by_server = ["content-length", "date", "connection", "transfer-encoding"];
    let headers = answer
        .headers
        .iter()
        .filter(|(name, _)| !added_by_server.contains(&name.as_str()));
    let headers = headers.map(|(name, value)| Ok((name.to_string(), value.to_str()?.to_owned())));
    Ok(RecordedResponse {
        headers: headers.collect::<anyhow::Result<_>>()?,
        body: String::from_utf8(answer.body)?,
        keys: serde_json::from_slice(&keys.body)?,
    })
}

/// Starts this binary again as a separate process that serves the recorded response.
pub(crate) async fn start_ceiling(
    installation: &Installation,
    recorded: &RecordedResponse,
) -> anyhow::Result<Server> {
    let directory = installation.path().join("ceiling");
    std::fs::create_dir(&directory)?;
    let file = directory.join("recorded.json");
    std::fs::write(&file, serde_json::to_vec(recorded)?)?;
    let address = free_address()?;
    let mut command = Command::new(std::env::current_exe()?);
    command.arg("ceiling").arg(address.to_string()).arg(&file);
    Server::start(
        command,
        Path::new(&directory),
        address,
        address,
        ceiling::HEALTH,
    )
    .await
}
