//! `doorward user import` of many users, into databases that were empty before.

use doorward_domain::{Ids, RandomIds};

use crate::{
    Effort, fill,
    installation::{Backend, Installation},
    report::{Finding, Report},
    statistics::median,
};

const LINES: u32 = 100_000;
const LINES_QUICK: u32 = 10_000;
/// For all lines, over PostgreSQL.
const LIMIT_SECONDS: f64 = 30.0;
const ROUNDS: usize = 3;

pub(crate) fn measure(report: &mut Report, backend: Backend, effort: Effort) -> anyhow::Result<()> {
    let (lines, rounds) = if effort.is_quick { (LINES_QUICK, 1) } else { (LINES, ROUNDS) };
    let mut times = Vec::new();
    for _ in 0..rounds {
        let installation = Installation::new(backend)?;
        // Migrated before, as it is where somebody imports.
        installation.run(&["user", "list"])?;
        let gids: Vec<String> = (0..lines).map(|_| RandomIds.gid().to_string()).collect();
        times.push(fill::import(&installation, &gids)?.as_secs_f64());
    }
    let seconds = median(&times);
    let finding = Finding::new(format!("import of {lines} users, {backend}"), "s", seconds);
    let finding = finding.note(format!("{:.0} lines/s", f64::from(lines) / seconds));
    let is_promised = backend == Backend::Postgres && !effort.is_quick;
    report.add(if is_promised { finding.at_most(LIMIT_SECONDS) } else { finding });
    Ok(())
}
