//! The same user in a small installation and in a large one: what they ask for may not cost more because others are there.

use std::time::Duration;

use crate::{
    Effort,
    client::{Call, Connection, log_in},
    fill::{PASSWORD, Size, USERNAME, fill},
    init::CONNECTIONS,
    installation::{Backend, Installation},
    load,
    process::Server,
    report::{Finding, Report},
    statistics::{median, median_ratio, medians},
};

const LIMIT: f64 = 1.2;

struct Place {
    server: Server,
    connection: Connection,
    token: String,
}

impl Place {
    async fn open(installation: &Installation) -> anyhow::Result<Self> {
        let server = installation.serve().await?;
        let token = log_in(server.address, USERNAME, PASSWORD).await?;
        Ok(Self { connection: Connection::open(server.address).await?, server, token })
    }

    /// The median of some calls alone, in milliseconds.
    async fn alone(&mut self, call: &Call, count: usize) -> anyhow::Result<f64> {
        Ok(median(&load::alone(&mut self.connection, call, count).await?))
    }

    /// The time that an init takes of the whole machine, in milliseconds.
    async fn loaded(&self, time: Duration) -> anyhow::Result<f64> {
        let calls = vec![Call::init(&self.token); CONNECTIONS];
        Ok(1000.0 / load::closed_loop(&self.server, &calls, time).await?.per_second)
    }
}

pub(crate) async fn measure(report: &mut Report, backend: Backend, effort: Effort) -> anyhow::Result<()> {
    let size = if effort.is_quick {
        Size { users: 10_000, projects: 2_000 }
    } else {
        Size { users: 100_000, projects: 20_000 }
    };
    let (small, large) = (Installation::new(backend)?, Installation::new(backend)?);
    fill(&small, Size::SMALL)?;
    fill(&large, size)?;

    let (mut small, mut large) = (Place::open(&small).await?, Place::open(&large).await?);
    let time = Duration::from_secs(if effort.is_quick { 1 } else { 4 });
    let login = Call::login(USERNAME, PASSWORD);
    let (mut logins, mut inits, mut loads) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..effort.rounds * 2 {
        logins.push((large.alone(&login, 20).await?, small.alone(&login, 20).await?));
        let (in_large, in_small) = (Call::init(&large.token), Call::init(&small.token));
        inits.push((large.alone(&in_large, 200).await?, small.alone(&in_small, 200).await?));
        loads.push((large.loaded(time).await?, small.loaded(time).await?));
    }
    let places = format!("{} users against {}", size.users, Size::SMALL.users);
    for (what, pairs) in [("login", logins), ("init", inits), ("init under load", loads)] {
        let (in_large, in_small) = medians(&pairs);
        let finding = Finding::new(format!("{what} among many, {backend}"), "ms", in_large);
        report.add(finding.against(in_small, median_ratio(&pairs)).at_most(LIMIT).note(places.clone()));
    }
    Ok(())
}
