//! What tokens cost: to check one in the gateway, also beside many revocations, and to renew one.

use std::{fmt::Write, time::Duration};

use anyhow::{Context, anyhow};
use aws_lc_rs::signature::Ed25519KeyPair;
use doorward_proto::{
    Channel, Peer, ServiceToken,
    auth::v1::{GetKeysRequest, RenewTokenRequest, auth_client::AuthClient},
};

use crate::{
    Effort,
    client::{Call, log_in},
    fill::{PASSWORD, Size, USERNAME, fill},
    init::CONNECTIONS,
    installation::{Backend, Installation},
    load,
    process::{Cpu, Server, free_address},
    report::{Finding, Report},
    sql,
    statistics::{median, median_ratio, medians},
};

const REVOCATIONS: usize = 10_000;
/// Until the gateway has heard of what is in the database.
const SPREAD: Duration = Duration::from_secs(2);
const SERVICE_TOKEN: &str = "the-service-token-of-the-bench";

/// Two calls that are refused for the same reason and touch no peer; only one of them checks its token before. And two
/// servers, in turns; only one of them has revocations.
pub(crate) async fn measure_checks(report: &mut Report, effort: Effort) -> anyhow::Result<()> {
    let (plain, crowded) = (Checked::start().await?, Checked::start().await?);
    sql::execute(&crowded.installation.auth_url, &revocations())?;
    tokio::time::sleep(SPREAD).await;
    let time = Duration::from_secs(if effort.is_quick { 1 } else { 3 });
    let (mut checks, mut crowds) = (Vec::new(), Vec::new());
    for _ in 0..effort.rounds {
        let unchecked = plain.cost_of("/api/p/x/login", time).await?;
        let checked = plain.cost_of("/api/p/x/apikeys/delete", time).await?;
        checks.push((checked, unchecked));
        crowds.push((crowded.cost_of("/api/p/x/apikeys/delete", time).await?, checked));
    }
    let (checked, unchecked) = medians(&checks);
    let note = format!("CPU {checked:.1} us with, {unchecked:.1} us without");
    report.add(Finding::new("checking a token", "us", checked - unchecked).at_most(15.0).note(note));
    let (crowded, alone) = medians(&crowds);
    let finding = Finding::new(format!("an authorised call beside {REVOCATIONS} revocations"), "us", crowded);
    report.add(finding.against(alone, median_ratio(&crowds)).at_most(1.1).note("CPU, against the same without any"));
    Ok(())
}

/// A server, and a token of it.
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
        Ok(Self { installation, server, token })
    }

    /// Of the server, in microseconds of CPU for each call.
    async fn cost_of(&self, path: &'static str, time: Duration) -> anyhow::Result<f64> {
        let calls = vec![Call::refused(path, &self.token); CONNECTIONS];
        Ok(micros(load::closed_loop(&self.server, &calls, time).await?.server_cpu))
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
    format!("INSERT INTO revocations VALUES {rows}; UPDATE trust_head SET version = 1000000")
}

/// Each token renews the one before, as a client's do. What the call itself costs is taken off.
pub(crate) async fn measure_renewals(report: &mut Report, effort: Effort) -> anyhow::Result<()> {
    let installation = Installation::new(Backend::Sqlite)?;
    fill(&installation, Size::SMALL)?;
    let auth = free_address()?.to_string();
    let server =
        installation.serve_with(&[("DOORWARD_AUTH_LISTEN", &auth), ("DOORWARD_SERVICE_TOKEN", SERVICE_TOKEN)]).await?;
    let mut token = log_in(server.address, USERNAME, PASSWORD).await?;
    let peer = Peer::Url { url: format!("http://{auth}"), tls: None };
    let mut client = AuthClient::new(peer.connect(&ServiceToken::new(Some(SERVICE_TOKEN.to_owned().into())))?);
    let count = if effort.is_quick { 2_000 } else { 10_000 };
    let (mut renewals, mut signatures) = (Vec::new(), Vec::new());
    for _ in 0..effort.rounds {
        let (own, before) = (Cpu::of(std::process::id())?, Cpu::of(server.id())?);
        ask(&mut client, count, || ()).await?;
        let (own_bare, bare) = (own.since(std::process::id())?, before.since(server.id())?);
        signatures.push(cost_of_a_signature(&mut client, count, own_bare).await?);
        let before = Cpu::of(server.id())?;
        token = renew(&mut client, token, count).await?;
        renewals.push((micros(before.since(server.id())?) - micros(bare)) / f64::from(count));
    }
    let (renewal, signature) = (median(&renewals), median(&signatures));
    let finding = Finding::new("renewing a token, less a bare call", "us", renewal);
    let note = "the ceiling is one signature, between such calls as well";
    report.add(finding.against(signature, renewal / signature).at_most(2.0).note(note));
    Ok(())
}

async fn renew(client: &mut AuthClient<Channel>, mut token: String, count: u32) -> anyhow::Result<String> {
    for _ in 0..count {
        token = client.renew_token(RenewTokenRequest { token }).await?.into_inner().token;
    }
    Ok(token)
}

/// Calls that do next to nothing, each with something to do here before.
async fn ask(client: &mut AuthClient<Channel>, count: u32, before_each: impl Fn()) -> anyhow::Result<()> {
    for _ in 0..count {
        before_each();
        client.get_keys(GetKeysRequest {}).await?;
    }
    Ok(())
}

/// In microseconds of CPU, of a text as long as a token's. Between calls, as auth does it: one after the other, with all that
/// it needs in the cache, a signature takes half as long.
async fn cost_of_a_signature(client: &mut AuthClient<Channel>, count: u32, bare: Duration) -> anyhow::Result<f64> {
    let pair = Ed25519KeyPair::generate().map_err(|_| anyhow!("no key"))?;
    let text = [b'x'; 500];
    let before = Cpu::of(std::process::id())?;
    let sign = || {
        std::hint::black_box(pair.sign(&text));
    };
    ask(client, count, sign).await?;
    let cost = (micros(before.since(std::process::id())?) - micros(bare)) / f64::from(count);
    Some(cost).filter(|cost| *cost > 0.0).context("too few signatures to measure")
}

fn micros(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1_000_000.0
}
