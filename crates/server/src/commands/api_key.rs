//! `doorward apikey`.

use doorward_auth::audit::Origin;
use serde_json::json;

use crate::{
    cli::ApiKeyCommand,
    settings::Settings,
    stdout,
    wiring::{self, Preparation},
};

pub(super) async fn run(command: ApiKeyCommand, settings: &Settings) -> anyhow::Result<()> {
    wiring::prepare_databases(settings, Preparation::MigrateIfEmpty).await?;
    match command {
        ApiKeyCommand::Create { project, name } => {
            // First, because it fails without the master key; the API user is created only if it
            // has succeeded.
            let api_keys = wiring::start_api_keys(settings).await?;
            let made = wiring::new_directory(settings)
                .create_api_user(
                    doorward_directory::Actor::Administrator,
                    project,
                    name.to_string(),
                )
                .await?;
            let user = made.user.gid;
            let apikey = api_keys
                .get_or_create(user, project, Origin::command_line())
                .await?;
            Ok(stdout::print_json(
                &json!({"user": user.to_string(), "apikey": apikey}),
            )?)
        }
    }
}
