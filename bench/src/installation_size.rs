//! Compares calls of the same user in a small and in a large installation: a call must not cost
//! more because the installation has many other users and projects.

use std::time::Duration;

use crate::{
    client::{Call, Connection, log_in},
    effort::Effort,
    fill::{PASSWORD, Size, USERNAME, fill},
    init::CONNECTIONS,
    installation::{Backend, Installation},
    load,
    process::Server,
    report::{Measurement, Report},
    rounds,
    statistics::{Pair, median},
};

const LIMIT: f64 = 1.2;

struct BenchServer {
    server: Server,
    connection: Connection,
    token: String,
}

impl BenchServer {
    async fn open(installation: &Installation) -> anyhow::Result<Self> {
        let server = installation.serve().await?;
        let token = log_in(server.address, USERNAME, PASSWORD).await?;
        Ok(Self {
            connection: Connection::open(server.address).await?,
            server,
            token,
        })
    }

    /// Returns the median duration of sequential calls, in milliseconds.
    async fn alone(&mut self, call: &Call, count: usize) -> anyhow::Result<f64> {
        Ok(median(
            &load::alone(&mut self.connection, call, count).await?,
        ))
    }

    /// Returns the time between two responses under load, in milliseconds: how long one init keeps
    /// the whole machine busy.
    async fn loaded(&self, time: Duration) -> anyhow::Result<f64> {
        let calls = vec![Call::init(&self.token); CONNECTIONS];
        Ok(1000.0
            / load::closed_loop(&self.server, &calls, time)
                .await?
                .per_second)
    }
}

type PairOf = fn(&Round) -> Pair;

/// The large installation against the small one.
struct Round {
    login: Pair,
    init: Pair,
    loaded: Pair,
}

pub(crate) async fn measure(
    report: &mut Report,
    backend: Backend,
    effort: Effort,
) -> anyhow::Result<()> {
    let size = if effort.is_quick {
        Size {
            users: 10_000,
            projects: 2_000,
        }
    } else {
        Size {
            users: 100_000,
            projects: 20_000,
        }
    };
    let small = Installation::new(backend)?;
    let large = Installation::new(backend)?;
    fill(&small, Size::SMALL)?;
    fill(&large, size)?;

    let mut small = BenchServer::open(&small).await?;
    let mut large = BenchServer::open(&large).await?;
    let time = Duration::from_secs(if effort.is_quick { 1 } else { 4 });
    let login = Call::login(USERNAME, PASSWORD);
    let series = rounds::run(effort.times(2), async || {
        let in_large = Call::init(&large.token);
        let in_small = Call::init(&small.token);
        Ok(Round {
            login: Pair::new(
                large.alone(&login, 20).await?,
                small.alone(&login, 20).await?,
            )?,
            init: Pair::new(
                large.alone(&in_large, 200).await?,
                small.alone(&in_small, 200).await?,
            )?,
            loaded: Pair::new(large.loaded(time).await?, small.loaded(time).await?)?,
        })
    });
    let series = series.await?;
    let sizes = format!("{} users against {}", size.users, Size::SMALL.users);
    let findings: [(&str, PairOf); 3] = [
        ("login", |round| round.login),
        ("init", |round| round.init),
        ("init under load", |round| round.loaded),
    ];
    for (what, pair) in findings {
        let finding =
            Measurement::of_pairs(format!("{what} among many, {backend}"), "ms", &series, pair);
        report.add(finding.at_most(LIMIT).note(sizes.clone()));
    }
    Ok(())
}
