//! `doorward migrate`.

use std::io::Write;

use crate::{
    settings::Settings,
    wiring::{self, Preparation},
};

pub(super) async fn run(settings: &Settings) -> anyhow::Result<()> {
    wiring::prepare_databases(settings, Preparation::MigrateAllowingImport).await?;
    let print = |conflict: &wiring::EmailConflictReport| {
        let mut stderr = std::io::stderr().lock();
        // Ignored: if stderr is closed, `serve` still logs the conflict.
        let _ = writeln!(stderr, "{conflict}");
    };
    wiring::for_each_email_conflict(&wiring::new_directory(settings), print).await
}
