//! `doorward keys`.

use anyhow::{Context, bail};
use doorward_auth::{Error, Keys, Sealer, audit::Origin};

use crate::commands::list_output::{Column, ListOutput};
use crate::{
    cli::KeysCommand,
    json,
    master_key::MasterKey,
    secret_files,
    settings::Settings,
    wiring::{self, Preparation},
};

const COLUMNS: &[Column] = &[
    ("KID", "/kid"),
    ("STATE", "/state"),
    ("CREATED", "/created_at"),
    ("VERIFIES UNTIL", "/verify_until"),
];

pub(super) async fn run(command: KeysCommand, settings: &Settings) -> anyhow::Result<()> {
    wiring::prepare_auth(settings, Preparation::MigrateIfEmpty).await?;
    let mut listing = ListOutput::json();
    let keys = match command {
        KeysCommand::List(format) => {
            listing = ListOutput::new(format, COLUMNS);
            Keys::list(&wiring::new_auth_database(settings)).await?
        }
        KeysCommand::Rotate => {
            wiring::new_keys(settings)?
                .rotate(Origin::command_line())
                .await?
        }
        KeysCommand::Reseal => {
            reseal(settings).await?;
            tracing::warn!("restart the services with the new master key");
            Keys::list(&wiring::new_auth_database(settings)).await?
        }
        KeysCommand::Retire { kid } => {
            wiring::new_keys(settings)?
                .retire(&kid, Origin::command_line())
                .await?
        }
    };
    // An empty page has already ended the list.
    if listing.push_page(keys.iter().map(json::signing_key_to_json))? {
        listing.finish()?;
    }
    Ok(())
}

/// Seals all secrets with the new master key. A generated key is on disk before anything is sealed
/// with it, and replaces the old one afterwards.
async fn reseal(settings: &Settings) -> anyhow::Result<()> {
    let keys = wiring::new_keys(settings)?;
    let file = secret_files::GeneratedKeyFile::find(settings)?;
    let new = match (&settings.auth.new_master_key, &file) {
        (Some(key), _) => key.clone(),
        (None, Some(_)) => MasterKey::generate()?,
        (None, None) => {
            bail!(
                "there is no new master key: set DOORWARD_NEW_MASTER_KEY or DOORWARD_NEW_MASTER_KEY_FILE"
            )
        }
    };
    let draft = file.map(|file| file.write_draft(&new)).transpose()?;
    let sealer = Sealer::new(&new.expose().to_vec().into())?;
    let resealed = keys.reseal(sealer, Origin::command_line()).await;
    match (resealed, draft) {
        (Ok(()), Some(draft)) => draft
            .replace()
            .context("everything is sealed with the new master key"),
        (Err(error @ Error::Seal(_)), Some(draft)) => {
            draft.discard();
            Err(error.into())
        }
        // If the connection was lost, the transaction may have been committed, so the new key must
        // not be deleted.
        (Err(error), Some(_)) => Err(error).context(
            "the new master key stays in a file next to the old one, because it may be in use",
        ),
        (resealed, None) => Ok(resealed?),
    }
}
