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
    statistics::{median, medians},
};

const REVOCATIONS: usize = 10_000;
/// Until the gateway has heard of what is in the database.
const SPREAD: Duration = Duration::from_secs(2);
const SERVICE_TOKEN: &str = "the-service-token-of-the-bench";

/// Two calls that are refused for the same reason and touch no peer; only one of them checks its token before.
pub(crate) async fn measure_checks(report: &mut Report, effort: Effort) -> anyhow::Result<()> {
    let installation = Installation::new(Backend::Sqlite)?;
    fill(&installation, Size::SMALL)?;
    let server = installation.serve().await?;
    let token = log_in(server.address, USERNAME, PASSWORD).await?;
    let alone = cost_of_checks(&server, &token, effort).await?;
    sql::execute(&installation.auth_url, &revocations())?;
    tokio::time::sleep(SPREAD).await;
    let beside = cost_of_checks(&server, &token, effort).await?;
    let note = |(checked, unchecked): (f64, f64)| format!("CPU {checked:.1} us with, {unchecked:.1} us without");
    let finding = Finding::new("checking a token", "us", alone.0 - alone.1);
    report.add(finding.at_most(15.0).note(note(alone)));
    let finding = Finding::new(format!("an authorised call beside {REVOCATIONS} revocations"), "us", beside.0);
    report.add(finding.against(alone.0, beside.0 / alone.0).at_most(1.1).note(note(beside)));
    Ok(())
}

/// Of the server, in microseconds of CPU for each call: with a check, and without.
async fn cost_of_checks(server: &Server, token: &str, effort: Effort) -> anyhow::Result<(f64, f64)> {
    let checked = vec![Call::refused("/api/p/x/apikeys/delete", token); CONNECTIONS];
    let unchecked = vec![Call::refused("/api/p/x/login", token); CONNECTIONS];
    let time = Duration::from_secs(if effort.is_quick { 1 } else { 3 });
    let mut pairs = Vec::new();
    for _ in 0..effort.rounds {
        let (with, without) =
            (load::closed_loop(server, &checked, time).await?, load::closed_loop(server, &unchecked, time).await?);
        pairs.push((micros(with.server_cpu), micros(without.server_cpu)));
    }
    Ok(medians(&pairs))
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
        signatures.push(cost_of_a_signature(count)?);
        let before = Cpu::of(server.id())?;
        for _ in 0..count {
            client.get_keys(GetKeysRequest {}).await?;
        }
        let bare = before.since(server.id())?;
        let before = Cpu::of(server.id())?;
        token = renew(&mut client, token, count).await?;
        renewals.push((micros(before.since(server.id())?) - micros(bare)) / f64::from(count));
    }
    let (renewal, signature) = (median(&renewals), median(&signatures));
    let finding = Finding::new("renewing a token, less a bare call", "us", renewal);
    report.add(finding.against(signature, renewal / signature).at_most(2.0).note("the ceiling is one signature"));
    Ok(())
}

async fn renew(client: &mut AuthClient<Channel>, mut token: String, count: u32) -> anyhow::Result<String> {
    for _ in 0..count {
        token = client.renew_token(RenewTokenRequest { token }).await?.into_inner().token;
    }
    Ok(token)
}

/// In microseconds of CPU, of a text as long as a token's.
fn cost_of_a_signature(count: u32) -> anyhow::Result<f64> {
    let pair = Ed25519KeyPair::generate().map_err(|_| anyhow!("no key"))?;
    let text = [b'x'; 500];
    let before = Cpu::of(std::process::id())?;
    for _ in 0..count {
        std::hint::black_box(pair.sign(&text));
    }
    let cost = micros(before.since(std::process::id())?) / f64::from(count);
    Some(cost).filter(|cost| *cost > 0.0).context("too few signatures to measure")
}

fn micros(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1_000_000.0
}
