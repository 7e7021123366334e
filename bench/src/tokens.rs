//! Measures the CPU cost of tokens: checking one in the gateway, with and without many revocations,
//! and renewing one.

use std::{fmt::Write, time::Duration};

use anyhow::anyhow;
use aws_lc_rs::signature::Ed25519KeyPair;
use doorward_rpc::{
    Channel, Peer, ServiceToken,
    auth::v1::{GetPublicKeysRequest, RenewTokenRequest, auth_client::AuthClient},
};
use rustix::time::{ClockId, clock_gettime};

use crate::{
    client::{Call, log_in},
    effort::Effort,
    fill::{PASSWORD, Size, USERNAME, fill},
    init::CONNECTIONS,
    installation::{Backend, Installation},
    load,
    process::{Cpu, Server, free_address},
    report::{Measurement, Report},
    rounds, sql,
    statistics::{Pair, median},
};

const REVOCATIONS: usize = 10_000;
/// Time until the gateway has received the revocations that were written to the database.
const SPREAD: Duration = Duration::from_secs(2);
const SERVICE_TOKEN: &str = "the-service-token-of-the-bench";

/// Measures the check of a token. It compares two calls that are rejected for the same reason and
/// call no peer; only one of them checks its token first. It also compares two servers in turns;
/// only one of them has revocations.
pub(crate) async fn measure_checks(report: &mut Report, effort: Effort) -> anyhow::Result<()> {
    let plain = Checked::start().await?;
    let crowded = Checked::start().await?;
    sql::execute(&crowded.installation.auth_url, &revocations())?;
    tokio::time::sleep(SPREAD).await;
    let time = Duration::from_secs(if effort.is_quick { 1 } else { 3 });
    let series = rounds::run(effort, async || {
        let unchecked = plain.measure_cost("/api/p/x/login", time).await?;
        let checked = plain.measure_cost("/api/p/x/apikeys/delete", time).await?;
        let crowded = crowded
            .measure_cost("/api/p/x/apikeys/delete", time)
            .await?;
        Ok(Checks {
            alone: Pair::new(checked, unchecked)?,
            crowded: Pair::new(crowded, checked)?,
        })
    });
    let series = series.await?;
    let of = |value: fn(&Pair) -> f64| median(&series.map(|checks| value(&checks.alone)));
    let note = format!(
        "CPU {:.1} us with, {:.1} us without",
        of(|check| check.measured),
        of(|check| check.ceiling)
    );
    let check = Measurement::of("checking a token", "us", &series, |checks| {
        checks.alone.difference()
    });
    report.add(check.at_most(15.0).note(note));
    let name = format!("an authorised call with {REVOCATIONS} revocations");
    let crowd = Measurement::of_pairs(name, "us", &series, |checks| checks.crowded);
    report.add(crowd.at_most(1.1).note("CPU, against the same without any"));
    Ok(())
}

/// CPU time of the server for each call, in microseconds.
struct Checks {
    /// A call that checks its token against one that does not.
    alone: Pair,
    /// The call that checks its token on a server with revocations, against the same call without.
    crowded: Pair,
}

/// A server and a token that it issued.
struct Checked {
    installation: Installation,
    server: Server,
    token: String,
}

impl Checked {
    async fn start() -> anyhow::Result<Self> {
        let installation = Installation::new(Backend::Sqlite)?;
        fill(&installation, Size::SMALL)?;
        let server = installation.serve().await?;
        let token = log_in(server.address, USERNAME, PASSWORD).await?;
        Ok(Self {
            installation,
            server,
            token,
        })
    }

    /// Returns the CPU time of the server for each call, in microseconds.
    async fn measure_cost(&self, path: &'static str, time: Duration) -> anyhow::Result<f64> {
        let calls = vec![Call::refused(path, &self.token); CONNECTIONS];
        Ok(micros(
            load::closed_loop(&self.server, &calls, time)
                .await?
                .server_cpu,
        ))
    }
}

fn revocations() -> String {
    let mut rows = String::new();
    for number in 0..REVOCATIONS {
        let separator = if number == 0 { "" } else { ", " };
        let _ = write!(
            rows,
            "{separator}('subject', '00000000-0000-4000-8000-{number:012}', 4000000000, 4100000000, 0, 1000000)"
        );
    }
    format!("INSERT INTO revocations VALUES {rows}; UPDATE trust_version SET version = 1000000")
}

/// Measures renewals. Each renewal uses the token of the one before, as a client does. The cost of
/// a bare gRPC call is subtracted.
pub(crate) async fn measure_renewals(report: &mut Report, effort: Effort) -> anyhow::Result<()> {
    let installation = Installation::new(Backend::Sqlite)?;
    fill(&installation, Size::SMALL)?;
    let auth = free_address()?.to_string();
    let server = installation
        .serve_with(&[
            ("DOORWARD_AUTH_LISTEN", &auth),
            ("DOORWARD_SERVICE_TOKEN", SERVICE_TOKEN),
        ])
        .await?;
    let mut token = log_in(server.address, USERNAME, PASSWORD).await?;
    let peer = Peer::Url {
        url: format!("http://{auth}"),
        tls: None,
    };
    let mut client =
        AuthClient::new(peer.connect(&ServiceToken::new(Some(SERVICE_TOKEN.to_owned().into())))?);
    let count = if effort.is_quick { 2_000 } else { 10_000 };
    let pair = Ed25519KeyPair::generate().map_err(|_| anyhow!("can't generate a key"))?;
    let series = rounds::run(effort, async || {
        let before = Cpu::of(server.id())?;
        ask(&mut client, count, || ()).await?;
        let bare = before.since(server.id())?;
        let signature = measure_signature_cost(&mut client, count, &pair).await?;
        let before = Cpu::of(server.id())?;
        token = renew(&mut client, std::mem::take(&mut token), count).await?;
        let renewals = before.since(server.id())?;
        Ok(Pair::new(
            (micros(renewals) - micros(bare)) / f64::from(count),
            signature,
        )?)
    });
    let series = series.await?;
    let finding = Measurement::of_pairs(
        "renewing a token, less a bare call",
        "us",
        &series,
        |pair| *pair,
    );
    report.add(
        finding
            .at_most(2.0)
            .note("the ceiling is one signature, between such calls as well"),
    );
    Ok(())
}

async fn renew(
    client: &mut AuthClient<Channel>,
    mut token: String,
    count: u32,
) -> anyhow::Result<String> {
    for _ in 0..count {
        token = client
            .renew_token(RenewTokenRequest { token })
            .await?
            .into_inner()
            .token;
    }
    Ok(token)
}

/// Sends calls that cost the server very little, and runs `before_each` before each of them.
async fn ask(
    client: &mut AuthClient<Channel>,
    count: u32,
    mut before_each: impl FnMut(),
) -> anyhow::Result<()> {
    for _ in 0..count {
        before_each();
        client.get_public_keys(GetPublicKeysRequest {}).await?;
    }
    Ok(())
}

/// Returns the CPU time of a signature in microseconds, for a text of the length of a token. It
/// signs between calls, as auth does: signatures in direct succession take half as long, because
/// everything they need is in the cache. The clock counts the CPU time of this thread, so it does
/// not advance while other programs use the core.
async fn measure_signature_cost(
    client: &mut AuthClient<Channel>,
    count: u32,
    pair: &Ed25519KeyPair,
) -> anyhow::Result<f64> {
    let text = [b'x'; 500];
    let mut signing = Duration::ZERO;
    let sign = || {
        let before = thread_cpu_time();
        std::hint::black_box(pair.sign(&text));
        signing += thread_cpu_time().saturating_sub(before);
    };
    ask(client, count, sign).await?;
    Ok(micros(signing) / f64::from(count))
}

/// Returns the CPU time that this thread has used so far.
fn thread_cpu_time() -> Duration {
    clock_gettime(ClockId::ThreadCPUTime)
        .try_into()
        .unwrap_or_default()
}

fn micros(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1_000_000.0
}
