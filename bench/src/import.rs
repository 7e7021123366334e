//! Measures `doorward user import` of many users into empty databases.

use doorward_domain::{IdGenerator, RandomIdGenerator};

use crate::{
    effort::Effort,
    fill,
    installation::{Backend, Installation},
    report::{Measurement, Report},
    rounds,
    statistics::median,
};

const LINES: u32 = 100_000;
const LINES_QUICK: u32 = 10_000;
/// Maximum duration of the whole import over PostgreSQL.
const LIMIT_SECONDS: f64 = 30.0;
const ROUNDS: usize = 3;

pub(crate) async fn measure(
    report: &mut Report,
    backend: Backend,
    effort: Effort,
) -> anyhow::Result<()> {
    let (lines, rounds) = if effort.is_quick {
        (LINES_QUICK, 1)
    } else {
        (LINES, ROUNDS)
    };
    let series = rounds::run(Effort { rounds, ..effort }, async || {
        let installation = Installation::new(backend)?;
        // The first command migrates the databases, so that the measured one does not.
        installation.run(&["user", "list"])?;
        let gids: Vec<String> = (0..lines)
            .map(|_| RandomIdGenerator.new_gid().to_string())
            .collect();
        Ok(fill::import(&installation, &gids)?.as_secs_f64())
    });
    let series = series.await?;
    let finding = Measurement::of(
        format!("import of {lines} users, {backend}"),
        "s",
        &series,
        |seconds| *seconds,
    );
    let per_second = f64::from(lines) / median(&series.values);
    let finding = finding.note(format!("{per_second:.0} lines/s"));
    let is_promised = backend == Backend::Postgres && !effort.is_quick;
    report.add(if is_promised {
        finding.at_most(LIMIT_SECONDS)
    } else {
        finding
    });
    Ok(())
}
