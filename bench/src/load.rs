//! Generates load (closed loop): each connection sends its next request when it has received the
//! response to the last one.

use std::{net::SocketAddr, time::Duration};

use anyhow::{anyhow, ensure};
use hyper::StatusCode;
use tokio::{task::JoinSet, time::Instant};

use crate::{
    client::{Call, Connection},
    process::{Cpu, Server},
    statistics::{NothingMeasured, milliseconds, percentile},
};

/// Time before anything counts.
const WARM_UP: Duration = Duration::from_millis(500);
/// Wait after a 503, as in its `Retry-After`.
const RETRY_AFTER: Duration = Duration::from_secs(1);

pub(crate) struct Load {
    pub(crate) per_second: f64,
    pub(crate) latencies: Vec<Duration>,
    /// Number of responses with status 503.
    pub(crate) refused: usize,
    /// CPU time of the measured process for each request.
    pub(crate) server_cpu: Duration,
    /// CPU time of this process, which generates the load, for each request.
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

/// Sends each call on its own connection, again and again. A request counts if its response arrives
/// within `time` after the warm-up, even if it was sent before.
///
/// # Errors
/// [`NothingMeasured`] if no request counts.
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
    let server_before = Cpu::of(server.id())?;
    let client_before = Cpu::of(std::process::id())?;
    tokio::time::sleep_until(end).await;
    let server_cpu = server_before.since(server.id())?;
    let client_cpu = client_before.since(std::process::id())?;
    let mut latencies = Vec::new();
    let mut refused = 0;
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
    let mut latencies = Vec::new();
    let mut refused = 0;
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

/// Sends a call repeatedly until `end`, as a background load for another measurement.
pub(crate) async fn run_until(address: SocketAddr, call: Call, end: Instant) -> anyhow::Result<()> {
    run_connection(address, call, end, end).await.map(drop)
}

/// Sends `count` calls one after the other and returns the duration of each in milliseconds.
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
