//! `doorward keys`.

use doorward_auth::Keys;

use super::Listing;
use crate::{
    cli::KeysCommand,
    json,
    settings::Settings,
    wiring::{self, Preparation},
};

pub(super) async fn run(command: KeysCommand, settings: &Settings) -> anyhow::Result<()> {
    wiring::prepare_auth(settings, Preparation::Prepare).await?;
    let keys = match command {
        KeysCommand::List => Keys::list(&wiring::auth_database(settings)).await?,
        KeysCommand::Rotate => wiring::keys(settings)?.rotate().await?,
        KeysCommand::Retire { kid } => wiring::keys(settings)?.retire(&kid).await?,
    };
    let mut listing = Listing::default();
    listing.add(keys.iter().map(json::signing_key))?;
    Ok(listing.end()?)
}
