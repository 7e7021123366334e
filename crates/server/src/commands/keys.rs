//! `doorward keys`.

use anyhow::{Context, bail};
use doorward_auth::{Keys, Sealer, audit::Origin};

use super::Listing;
use crate::{
    cli::KeysCommand,
    json, keys_file,
    settings::Settings,
    wiring::{self, Preparation},
};

pub(super) async fn run(command: KeysCommand, settings: &Settings) -> anyhow::Result<()> {
    wiring::prepare_auth(settings, Preparation::Prepare).await?;
    let keys = match command {
        KeysCommand::List => Keys::list(&wiring::auth_database(settings)).await?,
        KeysCommand::Rotate => wiring::keys(settings)?.rotate(Origin::command_line()).await?,
        KeysCommand::Reseal => {
            reseal(settings).await?;
            Keys::list(&wiring::auth_database(settings)).await?
        }
        KeysCommand::Retire { kid } => wiring::keys(settings)?.retire(&kid, Origin::command_line()).await?,
    };
    let mut listing = Listing::default();
    listing.add(keys.iter().map(json::signing_key))?;
    Ok(listing.end()?)
}

/// The new key is on disk before anything is sealed with it, and takes the old one's place after.
async fn reseal(settings: &Settings) -> anyhow::Result<()> {
    let file = keys_file::GeneratedKey::find(settings)?;
    let new = match (&settings.auth.new_master_key, &file) {
        (Some(key), _) => key.clone(),
        (None, Some(_)) => keys_file::MasterKey::generate()?,
        (None, None) => {
            bail!("there is no new master key: set DOORWARD_NEW_MASTER_KEY or DOORWARD_NEW_MASTER_KEY_FILE")
        }
    };
    let draft = file.map(|file| file.draft(&new)).transpose()?;
    let sealer = Sealer::new(&new.expose().to_vec().into())?;
    wiring::keys(settings)?.reseal(sealer, Origin::command_line()).await?;
    draft.map_or(Ok(()), keys_file::Draft::take_over).context("everything is sealed with the new master key")
}
