//! `doorward keys`.

use doorward_auth::Keys;

use crate::{
    cli::KeysCommand,
    json,
    settings::Settings,
    stdout,
    wiring::{self, Preparation},
};

pub(super) async fn run(command: KeysCommand, settings: &Settings) -> anyhow::Result<()> {
    wiring::prepare_auth(settings, Preparation::Prepare).await?;
    let keys = match command {
        KeysCommand::List => Keys::list(&wiring::auth_database(settings)).await?,
        KeysCommand::Rotate => wiring::keys(settings)?.rotate().await?,
        KeysCommand::Retire { kid } => wiring::keys(settings)?.retire(&kid).await?,
    };
    Ok(stdout::list(keys.iter().map(json::signing_key))?)
}
