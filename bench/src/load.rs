//! Load: some connections, each of which sends its next request when the last one is answered.

use std::{net::SocketAddr, time::Duration};

use anyhow::{anyhow, ensure};
use hyper::StatusCode;
use tokio::{task::JoinSet, time::Instant};

use crate::{
    client::{Call, Connection},
    process::{Cpu, Server},
    statistics::{NothingMeasured, milliseconds, percentile},
};

/// Before anything counts.
const WARM_UP: Duration = Duration::from_millis(500);
/// What a 503 asks for, in its `Retry-After`.
const RETRY_AFTER: Duration = Duration::from_secs(1);

pub(crate) struct Load {
    pub(crate) per_second: f64,
    pub(crate) latencies: Vec<Duration>,
    /// Answered 503.
    pub(crate) refused: usize,
    /// CPU time for each request: the process that is measured, and the one that generates the load.
    pub(crate) server_cpu: Duration,
    pub(crate) client_cpu: Duration,
}

impl Load {
    pub(crate) fn percentile(&self, per_mille: usize) -> f64 {
        percentile(&self.latencies, per_mille)
    }

    pub(crate) fn cpu_note(&self) -> String {
        format!(
            "CPU {} us, client {} us",
            self.server_cpu.as_micros(),
            self.client_cpu.as_micros()
        )
    }
}

/// One call for each connection. What is answered within the time counts, wherever it began. Fails with `NothingMeasured`
/// when that is nothing.
pub(crate) async fn closed_loop(
    server: &Server,
    calls: &[Call],
    time: Duration,
) -> anyhow::Result<Load> {
    let begin = Instant::now() + WARM_UP;
    let end = begin + time;
    let mut connections = JoinSet::new();
    for call in calls.iter().cloned() {
        connections.spawn(run_connection(server.address, call, begin, end));
    }
    tokio::time::sleep_until(begin).await;
    let (server_before, client_before) = (Cpu::of(server.id())?, Cpu::of(std::process::id())?);
    tokio::time::sleep_until(end).await;
    let (server_cpu, client_cpu) = (
        server_before.since(server.id())?,
        client_before.since(std::process::id())?,
    );
    let (mut latencies, mut refused) = (Vec::new(), 0);
    while let Some(done) = connections.join_next().await {
        let (own, own_refused) = done??;
        latencies.extend(own);
        refused += own_refused;
    }
    let count = u32::try_from(latencies.len())?;
    ensure!(count > 0, NothingMeasured("nothing was answered in time"));
    let per_second = f64::from(count) / time.as_secs_f64();
    Ok(Load {
        per_second,
        latencies,
        refused,
        server_cpu: server_cpu / count,
        client_cpu: client_cpu / count,
    })
}

async fn run_connection(
    address: SocketAddr,
    call: Call,
    begin: Instant,
    end: Instant,
) -> anyhow::Result<(Vec<Duration>, usize)> {
    let mut connection = Connection::open(address).await?;
    let (mut latencies, mut refused) = (Vec::new(), 0);
    loop {
        let sent = Instant::now();
        if sent >= end {
            return Ok((latencies, refused));
        }
        let status = connection.send(&call).await?;
        let answered = Instant::now();
        match status {
            status if status == call.expected => {
                if answered >= begin && answered < end {
                    latencies.push(answered - sent);
                }
            }
            StatusCode::SERVICE_UNAVAILABLE => {
                refused += 1;
                tokio::time::sleep(RETRY_AFTER).await;
            }
            other => return Err(anyhow!("answered {other}")),
        }
    }
}

/// Sends a call again and again until then, for what others feel of it.
pub(crate) async fn run_until(address: SocketAddr, call: Call, end: Instant) -> anyhow::Result<()> {
    run_connection(address, call, end, end).await.map(drop)
}

/// How long each of `count` calls takes, one after the other, in milliseconds.
pub(crate) async fn alone(
    connection: &mut Connection,
    call: &Call,
    count: usize,
) -> anyhow::Result<Vec<f64>> {
    let mut times = Vec::with_capacity(count);
    for _ in 0..count {
        let sent = Instant::now();
        let status = connection.send(call).await?;
        ensure!(status == StatusCode::OK, "answered {status}");
        times.push(milliseconds(sent.elapsed()));
    }
    Ok(times)
}
