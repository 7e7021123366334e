//! `make bench-peers`: measures PocketBase and Better Auth next to Doorward, in turns and under the
//! same load. Each competitor, Doorward included, uses SQLite, its default password hash and the
//! same number of users. Prints one table and writes `target/bench-peers.json`.

// The make target, the argument, the folder and the JSON file are called `peers`. The code says
// "competitor", because a peer is another service that a service calls (docs/glossary.md).

mod better_auth;
mod competitor;
mod doorward;
mod pocketbase;

use std::{io::Write, time::Duration};

use anyhow::{Context, ensure};
use serde_json::json;

use competitor::{Competitor, Memory, USERS};

use crate::{
    client::Connection,
    effort::Effort,
    hash::cores,
    init::CONNECTIONS,
    load,
    report::{format_short, format_spread, rounds as describe_rounds, write_json, write_table},
    rounds::{self, Conditions, Series},
    statistics::Summary,
};

const JSON_FILE: &str = "target/bench-peers.json";

/// Results of one competitor in one round, in calls per second.
#[derive(Clone, Copy)]
struct Rates {
    logins: f64,
    starts: f64,
}

/// Results of one competitor in all rounds.
struct Row {
    name: String,
    password_hash: &'static str,
    start_means: &'static str,
    start_bytes: usize,
    logins: Summary,
    starts: Summary,
    idle: Memory,
    /// Memory after all of the load.
    after: Memory,
}

/// Measures all competitors and prints the table.
pub(crate) async fn compare(effort: Effort) -> anyhow::Result<()> {
    let competitors = [
        doorward::start().await?,
        pocketbase::start().await?,
        better_auth::start().await?,
    ];
    let seconds = |quick, full| Duration::from_secs(if effort.is_quick { quick } else { full });
    // The first round does not count: it warms up just-in-time compilers and caches.
    measure(&competitors, seconds(1, 5)).await?;
    let series = rounds::run(effort, async || measure(&competitors, seconds(2, 5)).await).await?;

    let mut rows = Vec::new();
    for (number, competitor) in competitors.iter().enumerate() {
        let answer = Connection::open(competitor.server.address)
            .await?
            .ask(&competitor.start)
            .await?;
        ensure!(
            answer.status == competitor.start.expected,
            "{}: {}",
            competitor.name,
            answer.status
        );
        let summary = |of: fn(&Rates) -> f64| summary(&series, number, of);
        rows.push(Row {
            name: competitor.name.clone(),
            password_hash: competitor.password_hash,
            start_means: competitor.start_means,
            start_bytes: answer.body.len(),
            logins: summary(|rates| rates.logins),
            starts: summary(|rates| rates.starts),
            idle: competitor.idle,
            after: Memory::of(&competitor.server)?,
        });
    }
    print(&rows, series.conditions)
}

/// Measures one round: each competitor under both loads, one after the other.
async fn measure(competitors: &[Competitor], time: Duration) -> anyhow::Result<Vec<Rates>> {
    let mut rates = Vec::new();
    for competitor in competitors {
        let logins = vec![competitor.login.clone(); 2 * cores()];
        let starts = vec![competitor.start.clone(); CONNECTIONS];
        rates.push(Rates {
            logins: load::closed_loop(&competitor.server, &logins, time)
                .await
                .with_context(|| competitor.name.clone())?
                .per_second,
            starts: load::closed_loop(&competitor.server, &starts, time)
                .await
                .with_context(|| competitor.name.clone())?
                .per_second,
        });
    }
    Ok(rates)
}

fn summary(series: &Series<Vec<Rates>>, number: usize, of: fn(&Rates) -> f64) -> Summary {
    let values: Vec<f64> = series
        .values
        .iter()
        .filter_map(|round| round.get(number))
        .map(of)
        .collect();
    Summary::of(&values)
}

fn print(rows: &[Row], conditions: Conditions) -> anyhow::Result<()> {
    let head = [
        "",
        "password hash",
        "logins/s",
        "spread",
        "starts/s",
        "spread",
        "bytes",
        "a start is",
        "MiB idle",
        "after load",
        "RSS idle",
    ];
    let cells = rows.iter().map(|row| {
        [
            row.name.clone(),
            row.password_hash.to_owned(),
            format_short(row.logins.median),
            format_spread(row.logins, format_short),
            format_short(row.starts.median),
            format_spread(row.starts, format_short),
            row.start_bytes.to_string(),
            row.start_means.to_owned(),
            format_short(row.idle.private),
            format_short(row.after.private),
            format_short(row.idle.resident),
        ]
    });
    let table: Vec<[String; 11]> = [head.map(str::to_owned)].into_iter().chain(cells).collect();
    let mut out = std::io::stdout().lock();
    write_table(&mut out, &table)?;
    let processor = processor();
    writeln!(
        out,
        "{} cores, {processor}; rounds: {}",
        cores(),
        describe_rounds(conditions)
    )?;
    if conditions.is_busy {
        writeln!(
            out,
            "the machine was busy with other things: repeat this when it is quiet"
        )?;
    }
    let found: Vec<_> = rows.iter().map(Row::json).collect();
    let json = json!({"cores": cores(), "processor": processor, "users": USERS, "conditions": conditions, "servers": found});
    write_json(JSON_FILE, &json)
}

impl Row {
    fn json(&self) -> serde_json::Value {
        json!({
            "name": self.name, "password_hash": self.password_hash, "logins_per_second": self.logins,
            "start": self.start_means, "start_bytes": self.start_bytes, "starts_per_second": self.starts,
            "idle_private_mib": self.idle.private, "idle_resident_mib": self.idle.resident,
            "private_mib_after_load": self.after.private,
        })
    }
}

/// Returns the model name of the processor.
fn processor() -> String {
    let text = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let name = text
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    name.map_or("unknown processor", |(_, name)| name)
        .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn summary_covers_one_competitor_in_all_rounds() {
        let rates = |logins, starts| Rates { logins, starts };
        let conditions = Conditions {
            rounds: 3,
            repeated: 0,
            others: 0.0,
            is_busy: false,
        };
        let values = vec![
            vec![rates(10.0, 1.0), rates(90.0, 7.0)],
            vec![rates(12.0, 3.0), rates(70.0, 8.0)],
            vec![rates(11.0, 2.0), rates(80.0, 9.0)],
        ];
        let series = Series { values, conditions };
        let expected = Summary {
            median: 80.0,
            least: 70.0,
            greatest: 90.0,
        };
        assert_eq!(summary(&series, 1, |rates| rates.logins), expected);
        assert_eq!(summary(&series, 0, |rates| rates.starts).median, 2.0);
    }
}
