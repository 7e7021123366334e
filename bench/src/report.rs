//! Compares measurements with their targets and writes the results as a table and as JSON.

use std::io::Write;

use anyhow::Context;
use serde::Serialize;
use serde_json::json;

use crate::{
    rounds::{Conditions, Series},
    statistics::{Pair, Summary, median},
};

const JSON_FILE: &str = "target/bench.json";

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Verdict {
    Kept,
    Missed,
    /// The target was missed while the machine was busy, so it is undecided.
    BusyMachine,
    NotMeasured,
}

#[derive(Serialize)]
pub(crate) struct Measurement {
    name: String,
    unit: &'static str,
    /// Values of all rounds.
    measured: Summary,
    /// Median of the values that it is compared with, in the same rounds.
    ceiling: Option<f64>,
    /// Ratio of the measurement of each round to its ceiling.
    ratio: Option<Summary>,
    target: Option<String>,
    /// Absent if there is no target.
    verdict: Option<Verdict>,
    /// Absent if other programs have no influence on the value.
    conditions: Option<Conditions>,
    note: String,
}

impl Measurement {
    /// Builds a measurement of a single value, on which other programs have no influence.
    pub(crate) fn new(name: impl Into<String>, unit: &'static str, measured: f64) -> Self {
        Self {
            name: name.into(),
            unit,
            measured: Summary::of(&[measured]),
            ceiling: None,
            ratio: None,
            target: None,
            verdict: None,
            conditions: None,
            note: String::new(),
        }
    }

    /// Builds a measurement with one value for each round.
    pub(crate) fn of<T>(
        name: impl Into<String>,
        unit: &'static str,
        series: &Series<T>,
        value: impl Fn(&T) -> f64,
    ) -> Self {
        let measured = Summary::of(&series.map(value));
        Self {
            measured,
            conditions: Some(series.conditions),
            ..Self::new(name, unit, f64::NAN)
        }
    }

    /// Builds a measurement with one pair of value and ceiling for each round. Targets apply to
    /// their ratio.
    pub(crate) fn of_pairs<T>(
        name: impl Into<String>,
        unit: &'static str,
        series: &Series<T>,
        pair: impl Fn(&T) -> Pair,
    ) -> Self {
        let pairs = series.map(pair);
        let values = |of: fn(&Pair) -> f64| pairs.iter().map(of).collect::<Vec<_>>();
        Self {
            ceiling: Some(median(&values(|pair| pair.ceiling))),
            ratio: Some(Summary::of(&values(|pair| pair.ratio()))),
            measured: Summary::of(&values(|pair| pair.measured)),
            conditions: Some(series.conditions),
            ..Self::new(name, unit, f64::NAN)
        }
    }

    pub(crate) fn at_least(self, limit: f64) -> Self {
        let is_kept = self.evaluated().median >= limit;
        self.evaluate(is_kept, format!(">= {}", format_short(limit)))
    }

    pub(crate) fn at_most(self, limit: f64) -> Self {
        let is_kept = self.evaluated().median <= limit;
        self.evaluate(is_kept, format!("<= {}", format_short(limit)))
    }

    pub(crate) fn note(mut self, note: impl Into<String>) -> Self {
        self.note = note.into();
        self
    }

    fn evaluate(mut self, is_kept: bool, target: String) -> Self {
        let is_busy = self.conditions.is_some_and(|conditions| conditions.is_busy);
        self.verdict = Some(match (self.evaluated().median.is_nan(), is_kept, is_busy) {
            (true, _, _) => Verdict::NotMeasured,
            (false, true, _) => Verdict::Kept,
            (false, false, true) => Verdict::BusyMachine,
            (false, false, false) => Verdict::Missed,
        });
        self.target = Some(target);
        self
    }

    fn evaluated(&self) -> Summary {
        self.ratio.unwrap_or(self.measured)
    }

    fn cells(&self) -> [String; 9] {
        let verdict = match self.verdict {
            Some(Verdict::Kept) => "kept",
            Some(Verdict::Missed) => "MISSED",
            Some(Verdict::BusyMachine) => "busy machine",
            Some(Verdict::NotMeasured) => "not measured",
            None => "",
        };
        let digits: fn(f64) -> String = if self.ratio.is_some() {
            |ratio| format!("{ratio:.3}")
        } else {
            format_short
        };
        [
            self.name.clone(),
            format!("{} {}", format_short(self.measured.median), self.unit),
            self.ceiling.map(format_short).unwrap_or_default(),
            self.ratio
                .map(|ratio| digits(ratio.median))
                .unwrap_or_default(),
            self.conditions
                .map(|_| format_spread(self.evaluated(), digits))
                .unwrap_or_default(),
            self.target.clone().unwrap_or_default(),
            verdict.to_owned(),
            self.conditions.map(rounds).unwrap_or_default(),
            self.note.clone(),
        ]
    }
}

/// Formats the minimum and the maximum.
pub(crate) fn format_spread(summary: Summary, digits: fn(f64) -> String) -> String {
    format!("{} to {}", digits(summary.least), digits(summary.greatest))
}

/// Formats the number of rounds that count and that do not, and how busy the machine was.
pub(crate) fn rounds(conditions: Conditions) -> String {
    let mut text = conditions.rounds.to_string();
    if conditions.repeated > 0 {
        text.push_str(&format!(" (+{})", conditions.repeated));
    }
    if conditions.is_busy {
        text.push_str(&format!(" busy {:.0} %", conditions.others * 100.0));
    }
    text
}

/// Formats a number with about three significant digits.
pub(crate) fn format_short(value: f64) -> String {
    match value.abs() {
        large if large >= 100.0 => format!("{value:.0}"),
        medium if medium >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

/// Writes rows in columns that are as wide as their widest cell.
pub(crate) fn write_table<const N: usize>(
    out: &mut impl Write,
    rows: &[[String; N]],
) -> std::io::Result<()> {
    for row in rows {
        let mut line = String::new();
        for (column, cell) in row.iter().enumerate() {
            let width = rows
                .iter()
                .filter_map(|row| row.get(column))
                .map(|cell| cell.chars().count())
                .max();
            line.push_str(&format!(
                "{cell:<width$}  ",
                width = width.unwrap_or_default()
            ));
        }
        writeln!(out, "{}", line.trim_end())?;
    }
    Ok(())
}

/// A section that ended with an error.
#[derive(Serialize)]
struct SectionError {
    section: String,
    error: String,
}

pub(crate) struct Report {
    is_quick: bool,
    /// Load averages before the benchmark: text of `/proc/loadavg` (proc(5)).
    load_before: String,
    findings: Vec<Measurement>,
    failures: Vec<SectionError>,
}

impl Report {
    pub(crate) fn new(is_quick: bool) -> Self {
        let load_before = std::fs::read_to_string("/proc/loadavg")
            .unwrap_or_default()
            .trim()
            .to_owned();
        Self {
            is_quick,
            load_before,
            findings: Vec::new(),
            failures: Vec::new(),
        }
    }

    /// Adds a measurement and shows it on stderr as progress.
    pub(crate) fn add(&mut self, finding: Measurement) {
        let [name, measured, _, ratio, ..] = finding.cells();
        // Only shows progress, so a closed stderr must not stop the benchmark.
        let _ = writeln!(std::io::stderr(), "{name}: {measured} {ratio}");
        self.findings.push(finding);
    }

    /// Records the error of a section, so that the others are still measured.
    pub(crate) fn end_section(&mut self, section: &str, outcome: anyhow::Result<()>) {
        if let Err(error) = outcome {
            let failure = SectionError {
                section: section.to_owned(),
                error: format!("{error:#}"),
            };
            let _ = writeln!(std::io::stderr(), "{section}: {}", failure.error);
            self.failures.push(failure);
        }
    }

    /// Returns whether all targets were measured and none was missed, and no section failed. A
    /// target that is undecided because the machine was busy does not count as missed.
    pub(crate) fn is_met(&self) -> bool {
        let is_broken = |finding: &Measurement| {
            matches!(
                finding.verdict,
                Some(Verdict::Missed | Verdict::NotMeasured)
            )
        };
        self.failures.is_empty() && !self.findings.iter().any(is_broken)
    }

    pub(crate) fn print(&self) -> anyhow::Result<()> {
        let head = [
            "", "measured", "ceiling", "ratio", "spread", "target", "", "rounds", "note",
        ]
        .map(str::to_owned);
        let rows: Vec<[String; 9]> = [head]
            .into_iter()
            .chain(self.findings.iter().map(Measurement::cells))
            .collect();
        let mut out = std::io::stdout().lock();
        write_table(&mut out, &rows)?;
        let cores = crate::hash::cores();
        writeln!(out, "{cores} cores, load before: {}", self.load_before)?;
        let is_open = |finding: &&Measurement| {
            matches!(
                finding.verdict,
                Some(Verdict::BusyMachine | Verdict::NotMeasured)
            )
        };
        let open = self.findings.iter().filter(is_open).count();
        if open > 0 {
            writeln!(
                out,
                "the machine was too busy to judge {open} of the targets; repeat them when it is quiet"
            )?;
        }
        for SectionError { section, error } in &self.failures {
            writeln!(out, "section {section} failed: {error}")?;
        }
        let json = json!({
            "quick": self.is_quick, "cores": cores, "load_before": self.load_before, "findings": self.findings,
            "failures": self.failures,
        });
        write_json(JSON_FILE, &json)
    }
}

pub(crate) fn write_json(file: &str, json: &serde_json::Value) -> anyhow::Result<()> {
    std::fs::create_dir_all("target")?;
    std::fs::write(file, format!("{json:#}\n")).with_context(|| format!("can't write {file}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series(ratios: &[f64], is_busy: bool) -> Series<Pair> {
        let values: Vec<Pair> = ratios
            .iter()
            .map(|ratio| Pair::new(*ratio * 10.0, 10.0).unwrap())
            .collect();
        let conditions = Conditions {
            rounds: values.len(),
            repeated: 2,
            others: 0.25,
            is_busy,
        };
        Series { values, conditions }
    }

    fn finding(ratios: &[f64], is_busy: bool) -> Measurement {
        Measurement::of_pairs("logins", "/s", &series(ratios, is_busy), |pair| *pair)
    }

    fn report(findings: impl IntoIterator<Item = Measurement>) -> Report {
        let mut report = Report::new(true);
        findings.into_iter().for_each(|finding| report.add(finding));
        report
    }

    #[test]
    fn target_applies_to_the_median_ratio() {
        assert_eq!(
            finding(&[0.5, 0.96, 0.99], false).at_least(0.95).verdict,
            Some(Verdict::Kept)
        );
        assert_eq!(
            finding(&[0.5, 0.6, 0.99], false).at_least(0.95).verdict,
            Some(Verdict::Missed)
        );
        assert_eq!(
            finding(&[1.0, 1.1, 9.0], false).at_most(1.2).verdict,
            Some(Verdict::Kept)
        );
        let value = Measurement::of("login", "ms", &series(&[0.2, 0.3, 0.4], false), |pair| {
            pair.measured
        });
        assert_eq!(value.at_most(2.9).verdict, Some(Verdict::Missed));
    }

    #[test]
    fn busy_machine_is_reported_as_undecided() {
        let busy = finding(&[0.5, 0.6, 0.9], true).at_least(0.95);
        assert_eq!(busy.verdict, Some(Verdict::BusyMachine));
        let kept = finding(&[0.96, 0.97], true).at_least(0.95);
        assert_eq!(kept.verdict, Some(Verdict::Kept));
        let nothing = finding(&[], true).at_least(0.95);
        assert_eq!(nothing.verdict, Some(Verdict::NotMeasured));
        assert!(!report([nothing]).is_met());
        assert!(report([busy, kept]).is_met());
    }

    #[test]
    fn missed_promise_and_a_failed_section_are_not_kept() {
        assert!(!report([finding(&[0.9], false).at_least(0.95)]).is_met());
        let mut failed = report([finding(&[0.9], false)]);
        assert!(failed.is_met());
        failed.end_section("init", Ok(()));
        assert!(failed.is_met());
        failed.end_section("init", Err(anyhow::anyhow!("the server ended")));
        assert!(!failed.is_met());
    }

    #[test]
    fn row_has_median_spread_and_rounds() {
        let cells = finding(&[0.9, 0.5, 0.8], true)
            .at_least(0.95)
            .note("a note")
            .cells();
        let expected = [
            "logins",
            "8.00 /s",
            "10.0",
            "0.800",
            "0.500 to 0.900",
            ">= 0.95",
            "busy machine",
            "3 (+2) busy 25 %",
            "a note",
        ];
        assert_eq!(cells, expected.map(str::to_owned));
        let single = Measurement::new("memory", "MiB", 12.34)
            .at_most(20.0)
            .cells();
        assert_eq!(
            single,
            ["memory", "12.3 MiB", "", "", "", "<= 20.0", "kept", "", ""].map(str::to_owned)
        );
    }

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let mut out = Vec::new();
        write_table(
            &mut out,
            &[["a", "bb", ""], ["ccc", "d", "e"]].map(|row| row.map(str::to_owned)),
        )
        .unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), "a    bb\nccc  d   e\n");
    }
}
