//! Measures open sockets: the memory of each, the time until a change is delivered to all of many
//! sockets, and the latency of deliveries while other connections are busy.

use std::{net::SocketAddr, time::Duration};

use anyhow::{Context, ensure};
use doorward_domain::{IdGenerator, RandomIdGenerator};
use futures_util::{StreamExt, TryStreamExt, stream};
use serde_json::{Value, json};
use tokio::{
    sync::mpsc::{self, UnboundedReceiver, UnboundedSender},
    time::Instant,
};

use crate::{
    client::{Call, Connection, log_in},
    effort::Effort,
    fill::{PASSWORD, USERNAME, import, insert_projects},
    installation::{Backend, Installation},
    load,
    process::Server,
    report::{Measurement, Report},
    rounds,
    socket::Socket,
    sql,
    statistics::{Summary, milliseconds, percentile},
};

const MAX_KIB_PER_SOCKET: f64 = 20.0;
const ALL_WITHIN_MS: f64 = 500.0;
const P50_MS: f64 = 20.0;
const P99_MS: f64 = 150.0;
/// Number of sockets of each member.
const EACH: usize = 5;
/// Number of changes in a round.
const CHANGES: usize = 4;
/// Maximum number of concurrent logins and handshakes.
const AT_ONCE: usize = 50;
/// Maximum time until a change is delivered to the next socket; after that the measurement fails.
const TIMEOUT: Duration = Duration::from_secs(20);
/// Number of connections that call `/sync/get` in the meantime.
const BUSY: usize = 16;

struct BenchServer {
    server: Server,
    tokens: Vec<String>,
    project: String,
    owner: Connection,
    owner_token: String,
    cursor: i64,
    delivered_sender: UnboundedSender<Instant>,
    delivered: UnboundedReceiver<Instant>,
}

impl BenchServer {
    /// Starts a server with one project that has `members` members in addition to its owner.
    async fn open(installation: &Installation, members: usize) -> anyhow::Result<Self> {
        let gids: Vec<String> = (0..=members)
            .map(|_| RandomIdGenerator.new_gid().to_string())
            .collect();
        import(installation, &gids)?;
        let team = (gids.first().context("an owner")?.clone(), gids.clone());
        sql::execute(&installation.directory_url, &insert_projects(&[team]))?;
        sql::analyze(&installation.directory_url)?;
        let server = installation.serve().await?;
        let address = server.address;
        let owner_token = log_in(address, USERNAME, PASSWORD).await?;
        let mut owner = Connection::open(address).await?;
        let init: Value =
            serde_json::from_slice(&owner.ask(&Call::init(&owner_token)).await?.body)?;
        let projects = init
            .pointer("/result/user_projects")
            .and_then(Value::as_object)
            .context("projects")?;
        let project = projects.keys().next().context("a project")?.clone();
        let cursor = init
            .pointer("/result/cc.cursor")
            .and_then(Value::as_i64)
            .context("a cursor")?;
        let log_in = |number: usize| async move {
            log_in(address, &format!("user-{number}"), PASSWORD).await
        };
        let tokens = stream::iter(1..=members)
            .map(log_in)
            .buffered(AT_ONCE)
            .try_collect()
            .await?;
        // A new process, because sockets would reuse the memory that the logins have freed, and it
        // would not be counted.
        drop(server);
        let server = installation.serve().await?;
        let owner = Connection::open(server.address).await?;
        let (delivered_sender, delivered) = mpsc::unbounded_channel();
        Ok(Self {
            server,
            tokens,
            project,
            owner,
            owner_token,
            cursor,
            delivered_sender,
            delivered,
        })
    }

    /// Moves the cursor to the head of the feed, so that sockets that connect later receive no
    /// older rows.
    async fn advance_cursor(&mut self) -> anyhow::Result<()> {
        let call = Call::post_as("/sync/cursors", &self.owner_token, &json!({}));
        let answer: Value = serde_json::from_slice(&self.owner.ask(&call).await?.body)?;
        self.cursor = answer
            .pointer("/result/cc.cursor")
            .and_then(Value::as_i64)
            .context("a cursor")?;
        Ok(())
    }

    /// Opens one more socket for each member.
    async fn connect_all(&self) -> anyhow::Result<()> {
        let address: SocketAddr = self.server.address;
        let open = |token: &String| {
            let token = token.clone();
            let delivered = self.delivered_sender.clone();
            let cursor = self.cursor;
            async move {
                tokio::spawn(
                    Socket::open(address, &token, cursor)
                        .await?
                        .record_events(delivered),
                );
                Ok::<_, anyhow::Error>(())
            }
        };
        stream::iter(&self.tokens)
            .map(open)
            .buffer_unordered(AT_ONCE)
            .try_collect()
            .await
    }

    /// Renames the project and returns when each of `sockets` deliveries was received, counted from
    /// the call.
    async fn rename(&mut self, number: usize, sockets: usize) -> anyhow::Result<Vec<Duration>> {
        let body = json!({"project": self.project, "name": format!("Name {number}")});
        let call = Call::post_as("/api/projects/update", &self.owner_token, &body);
        let sent = Instant::now();
        let status = self.owner.send(&call).await?;
        ensure!(status == call.expected, "answered {status}");
        let mut times = Vec::with_capacity(sockets);
        for _ in 0..sockets {
            let received = tokio::time::timeout(TIMEOUT, self.delivered.recv()).await;
            times.push(
                received
                    .context("the change was not delivered to all sockets")?
                    .context("the channel is closed")?
                    .duration_since(sent),
            );
        }
        Ok(times)
    }
}

pub(crate) async fn measure(
    report: &mut Report,
    backend: Backend,
    effort: Effort,
) -> anyhow::Result<()> {
    let members = if effort.is_quick { 200 } else { 1000 };
    let installation = Installation::new(backend)?;
    let mut bench = BenchServer::open(&installation, members).await?;

    bench.connect_all().await?;
    let mut changes = 0;
    let series = rounds::run(effort, async || {
        let mut lasts = Vec::new();
        for _ in 0..CHANGES {
            changes += 1;
            let times = bench.rename(changes, members).await?;
            lasts.push(times.into_iter().max().map_or(f64::NAN, milliseconds));
        }
        Ok(Summary::of(&lasts))
    });
    let series = series.await?;
    let name = format!("a change delivered to {members} sockets, {backend}");
    let all = Measurement::of(name, "ms", &series, |lasts| lasts.median);
    let worst = series
        .map(|lasts| lasts.greatest)
        .into_iter()
        .fold(f64::NAN, f64::max);
    report.add(all.at_most(ALL_WITHIN_MS).note(format!(
        "from the call to the last of them; at worst {worst:.0} ms"
    )));

    bench.advance_cursor().await?;
    // Memory that all sockets share, such as caches of the databases, is already allocated.
    let before = bench.server.read_private_mib()?;
    for _ in 1..EACH {
        bench.connect_all().await?;
    }
    tokio::time::sleep(Duration::from_secs(2)).await;
    let count = members * EACH;
    let open = bench.server.metric("doorward_sockets_open").await?;
    ensure!(
        open >= f64::from(u32::try_from(count)?),
        "{open} sockets are open"
    );
    let kib = (bench.server.read_private_mib()? - before) * 1024.0
        / f64::from(u32::try_from(count - members)?);
    let memory = Measurement::new(
        format!("private memory of each of {count} sockets, {backend}"),
        "KiB",
        kib,
    );
    report.add(
        memory
            .at_most(MAX_KIB_PER_SOCKET)
            .note(format!("{before:.0} MiB with {members} of them")),
    );
    drop(bench);
    measure_latency(report, backend, effort).await
}

/// Percentiles of a latency in milliseconds.
struct Latency {
    p50: f64,
    p99: f64,
}

/// Measures the latency of deliveries to a hundred sockets while other connections call `/sync/get`
/// as fast as they can.
async fn measure_latency(
    report: &mut Report,
    backend: Backend,
    effort: Effort,
) -> anyhow::Result<()> {
    let members = 100;
    let installation = Installation::new(backend)?;
    let mut bench = BenchServer::open(&installation, members).await?;
    bench.connect_all().await?;
    let time = Duration::from_secs(if effort.is_quick { 2 } else { 4 });
    let idle = Call::post_as(
        "/sync/get",
        &bench.owner_token,
        &json!({"cc_cursor": bench.cursor}),
    );
    let mut changes = 0;
    let series = rounds::run(effort, async || {
        let address = bench.server.address;
        let end = Instant::now() + time;
        // The load continues until after the last change.
        let busy = stream::iter(vec![idle.clone(); BUSY])
            .map(|call| load::run_until(address, call, end + Duration::from_secs(1)))
            .buffer_unordered(BUSY)
            .try_collect::<Vec<_>>();
        let watch = async {
            let mut times = Vec::new();
            while Instant::now() < end {
                changes += 1;
                times.extend(bench.rename(changes, members).await?);
            }
            Ok::<_, anyhow::Error>(times)
        };
        let (_, times) = tokio::try_join!(busy, watch)?;
        Ok(Latency {
            p50: percentile(&times, 500),
            p99: percentile(&times, 990),
        })
    });
    let series = series.await?;
    let note = format!(
        "{changes} changes to {members} sockets, from the call; {BUSY} connections call /sync/get"
    );
    let name = |what: &str| format!("a change delivered under load, {what}, {backend}");
    report.add(
        Measurement::of(name("p50"), "ms", &series, |round| round.p50)
            .at_most(P50_MS)
            .note(note),
    );
    report.add(Measurement::of(name("p99"), "ms", &series, |round| round.p99).at_most(P99_MS));
    Ok(())
}
