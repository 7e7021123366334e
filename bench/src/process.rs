//! A server as a child process, with the memory and CPU time that the kernel reports for it.

use std::{
    fs::File,
    io::ErrorKind,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    path::{Path, PathBuf},
    pin::pin,
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicU16, Ordering},
    time::{Duration, Instant},
};

use anyhow::{Context, bail};
use hyper::StatusCode;

use crate::client::{Call, Connection};

const START: Duration = Duration::from_secs(30);
const BETWEEN_POLLS: Duration = Duration::from_millis(2);
const BETWEEN_SAMPLES: Duration = Duration::from_millis(20);
/// `sysconf(_SC_CLK_TCK)`, which has the same value on every Linux.
const TICKS_PER_SECOND: f64 = 100.0;

/// The binary that is measured.
pub(crate) fn binary() -> PathBuf {
    std::env::var_os("BENCH_BINARY").map_or_else(|| "target/release/doorward".into(), PathBuf::from)
}

/// Returns an address on which no process listens. Its port is below the range from which the
/// kernel takes ports for outgoing connections (`ip_local_port_range`): the benchmark opens
/// thousands of these, and one of them could take the port before the server binds it.
pub(crate) fn free_address() -> std::io::Result<SocketAddr> {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let first = 16_384 + u16::try_from(std::process::id() % 8_000).unwrap_or_default();
    loop {
        let port = first + NEXT.fetch_add(1, Ordering::Relaxed) % 8_000;
        match TcpListener::bind((Ipv4Addr::LOCALHOST, port)) {
            Err(error) if error.kind() == ErrorKind::AddrInUse => {}
            bound => return bound?.local_addr(),
        }
    }
}

/// A running server; it is killed when this value is dropped.
pub(crate) struct Server {
    child: Child,
    pub(crate) address: SocketAddr,
    /// Address of the operations listener.
    operations: SocketAddr,
    /// Time from the start of the process to its first successful health check.
    pub(crate) started_in: Duration,
}

impl Server {
    /// Starts the server, with its log in `directory`, and waits until `path` at `health` responds
    /// with 200.
    pub(crate) async fn start(
        mut command: Command,
        directory: &Path,
        address: SocketAddr,
        health: SocketAddr,
        path: &'static str,
    ) -> anyhow::Result<Self> {
        let log = directory.join("log");
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(&log)?);
        let started = Instant::now();
        let child = command
            .spawn()
            .with_context(|| format!("can't start {}", command.get_program().display()))?;
        let mut server = Self {
            child,
            address,
            operations: health,
            started_in: Duration::ZERO,
        };
        while !is_ready(health, path).await {
            if started.elapsed() > START || server.child.try_wait()?.is_some() {
                bail!(
                    "the server does not start: {}",
                    std::fs::read_to_string(&log)?
                );
            }
            tokio::time::sleep(BETWEEN_POLLS).await;
        }
        server.started_in = started.elapsed();
        Ok(server)
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Returns the value of a metric without labels, or 0 before its first event.
    pub(crate) async fn metric(&self, name: &str) -> anyhow::Result<f64> {
        let answer = Connection::open(self.operations)
            .await?
            .ask(&Call::get("/metrics"))
            .await?;
        let text = String::from_utf8(answer.body)?;
        let value = text
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        Ok(value.map(str::parse).transpose()?.unwrap_or_default())
    }

    /// Returns the current private memory in MiB: pages that belong to no file. Pages of the binary
    /// and of libraries do not count, because how many of them are resident depends on the machine.
    pub(crate) fn read_private_mib(&self) -> anyhow::Result<f64> {
        self.status_mib("RssAnon:")
    }

    /// Returns the current resident memory in MiB, including the pages of files.
    pub(crate) fn resident_mib(&self) -> anyhow::Result<f64> {
        self.status_mib("VmRSS:")
    }

    /// Runs `work` and returns its result and the largest private memory during it, in MiB.
    pub(crate) async fn measure_peak_private_mib<T>(
        &self,
        work: impl Future<Output = T>,
    ) -> anyhow::Result<(T, f64)> {
        let mut work = pin!(work);
        let mut peak = self.read_private_mib()?;
        loop {
            if let Ok(result) = tokio::time::timeout(BETWEEN_SAMPLES, &mut work).await {
                return Ok((result, peak));
            }
            peak = peak.max(self.read_private_mib()?);
        }
    }

    fn status_mib(&self, name: &str) -> anyhow::Result<f64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.id()))?;
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix(name))
            .context("no such line")?;
        let kib: f64 = line.trim().trim_end_matches(" kB").parse()?;
        Ok(kib / 1024.0)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

async fn is_ready(address: SocketAddr, path: &'static str) -> bool {
    let Ok(mut connection) = Connection::open(address).await else {
        return false;
    };
    connection
        .send(&Call::get(path))
        .await
        .is_ok_and(|status| status == StatusCode::OK)
}

/// Returns the fields of `/proc/PID/stat` (proc(5)) from the third on. The second field is a name
/// in parentheses, which can contain spaces and parentheses, so the text is split at its last `) `.
pub(crate) fn stat_fields(id: u32) -> anyhow::Result<Vec<String>> {
    let stat = std::fs::read_to_string(format!("/proc/{id}/stat"))?;
    let (_, fields) = stat
        .rsplit_once(") ")
        .context("unknown format of /proc/PID/stat")?;
    Ok(fields.split_whitespace().map(str::to_owned).collect())
}

/// CPU time that a process has used so far.
#[derive(Clone, Copy)]
pub(crate) struct Cpu(Duration);

impl Cpu {
    pub(crate) fn of(id: u32) -> anyhow::Result<Self> {
        // User and system time are the 14th and 15th field of all (proc(5)).
        let fields = stat_fields(id)?;
        let ticks: Vec<f64> = fields
            .iter()
            .skip(11)
            .take(2)
            .map(|field| field.parse())
            .collect::<Result<_, _>>()?;
        Ok(Self(Duration::from_secs_f64(
            ticks.iter().sum::<f64>() / TICKS_PER_SECOND,
        )))
    }

    pub(crate) fn since(self, id: u32) -> anyhow::Result<Duration> {
        Ok(Self::of(id)?.0.saturating_sub(self.0))
    }
}
