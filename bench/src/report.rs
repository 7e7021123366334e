//! What was found, against what was promised: a table and JSON.

use std::io::Write;

use anyhow::Context;
use serde::Serialize;
use serde_json::json;

const JSON_FILE: &str = "target/bench.json";

#[derive(Serialize)]
pub(crate) struct Finding {
    name: String,
    unit: &'static str,
    measured: f64,
    /// What it is compared with, of the same run.
    ceiling: Option<f64>,
    ratio: Option<f64>,
    target: Option<String>,
    /// Absent when nothing was promised.
    pass: Option<bool>,
    note: String,
}

impl Finding {
    pub(crate) fn new(name: impl Into<String>, unit: &'static str, measured: f64) -> Self {
        let name = name.into();
        Self { name, unit, measured, ceiling: None, ratio: None, target: None, pass: None, note: String::new() }
    }

    /// From here on, `ratio` is what targets are about.
    pub(crate) fn against(mut self, ceiling: f64, ratio: f64) -> Self {
        self.ceiling = Some(ceiling);
        self.ratio = Some(ratio);
        self
    }

    pub(crate) fn at_least(mut self, limit: f64) -> Self {
        self.pass = Some(self.judged() >= limit);
        self.target = Some(format!(">= {}", short(limit)));
        self
    }

    pub(crate) fn at_most(mut self, limit: f64) -> Self {
        self.pass = Some(self.judged() <= limit);
        self.target = Some(format!("<= {}", short(limit)));
        self
    }

    pub(crate) fn note(mut self, note: impl Into<String>) -> Self {
        self.note = note.into();
        self
    }

    fn judged(&self) -> f64 {
        self.ratio.unwrap_or(self.measured)
    }

    fn cells(&self) -> [String; 7] {
        let verdict = match self.pass {
            Some(true) => "kept",
            Some(false) => "MISSED",
            None => "",
        };
        [
            self.name.clone(),
            format!("{} {}", short(self.measured), self.unit),
            self.ceiling.map(short).unwrap_or_default(),
            self.ratio.map(|ratio| format!("{ratio:.3}")).unwrap_or_default(),
            self.target.clone().unwrap_or_default(),
            verdict.to_owned(),
            self.note.clone(),
        ]
    }
}

/// Three digits that count.
fn short(value: f64) -> String {
    match value.abs() {
        large if large >= 100.0 => format!("{value:.0}"),
        medium if medium >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

pub(crate) struct Report {
    is_quick: bool,
    /// How busy the machine was with other things (proc(5)).
    load_before: String,
    findings: Vec<Finding>,
}

impl Report {
    pub(crate) fn new(is_quick: bool) -> Self {
        let load_before = std::fs::read_to_string("/proc/loadavg").unwrap_or_default().trim().to_owned();
        Self { is_quick, load_before, findings: Vec::new() }
    }

    /// Keeps it, and shows on stderr that work goes on.
    pub(crate) fn add(&mut self, finding: Finding) {
        let [name, measured, _, ratio, ..] = finding.cells();
        // Where stderr is gone, nobody looks.
        let _ = writeln!(std::io::stderr(), "{name}: {measured} {ratio}");
        self.findings.push(finding);
    }

    pub(crate) fn is_kept(&self) -> bool {
        self.findings.iter().all(|finding| finding.pass != Some(false))
    }

    pub(crate) fn print(&self) -> anyhow::Result<()> {
        let head = ["", "measured", "ceiling", "ratio", "target", "", "note"].map(str::to_owned);
        let rows: Vec<[String; 7]> = [head].into_iter().chain(self.findings.iter().map(Finding::cells)).collect();
        let mut out = std::io::stdout().lock();
        for row in &rows {
            let mut line = String::new();
            for (column, cell) in row.iter().enumerate() {
                let width = rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max();
                line.push_str(&format!("{cell:<width$}  ", width = width.unwrap_or_default()));
            }
            writeln!(out, "{}", line.trim_end())?;
        }
        let cores = crate::hash::cores();
        writeln!(out, "{cores} cores, load before: {}", self.load_before)?;
        let json = json!({
            "quick": self.is_quick, "cores": cores, "load_before": self.load_before, "findings": self.findings,
        });
        std::fs::create_dir_all("target")?;
        std::fs::write(JSON_FILE, format!("{json:#}\n")).with_context(|| format!("can't write {JSON_FILE}"))
    }
}
