//! `doorward migrate`.

use crate::{
    settings::Settings,
    wiring::{self, Preparation},
};

pub(super) async fn run(settings: &Settings) -> anyhow::Result<()> {
    wiring::prepare_both(settings, Preparation::Migrate).await
}
