//! One module per command. They print to stdout and know nothing of clap.

mod api_key;
mod audit;
mod demo;
mod export;
pub(crate) mod export_stream;
mod find_user;
pub(crate) mod healthcheck;
pub(crate) mod import;
pub(crate) mod import_users;
mod keys;
pub(crate) mod list_output;
mod member;
mod migrate;
mod openapi;
mod project;
mod serve;
mod service_token;
mod user;

use crate::{
    cli::{Command, Serve},
    settings::Settings,
    stdout,
};

/// Runs a command.
///
/// # Errors
/// Describes the failure to the user. [`crate::settings::SettingsError`] among the causes means
/// wrong usage.
pub(crate) async fn run(command: Command, settings: Settings) -> anyhow::Result<()> {
    match command {
        Command::Demo => demo::run(settings).await,
        Command::Serve(Serve {
            print_config: true, ..
        }) => Ok(stdout::print_text(&settings.to_toml())?),
        Command::Serve(Serve {
            print_config: false,
            ..
        }) => serve::run(&settings).await,
        Command::Migrate => migrate::run(&settings).await,
        Command::User(command) => user::run(command, &settings).await,
        Command::Project(command) => project::run(command, &settings).await,
        Command::Member(command) => member::run(command, &settings).await,
        Command::ApiKey(command) => api_key::run(command, &settings).await,
        Command::Audit(command) => audit::run(command, &settings).await,
        Command::Export { file } => export::run(file, &settings).await,
        Command::Import { file } => import::run(file, &settings).await,
        Command::Keys(command) => keys::run(command, &settings).await,
        Command::ServiceToken(command) => service_token::run(command, &settings).await,
        Command::Healthcheck(command) => healthcheck::run(command, settings.ops_listen).await,
        Command::Openapi => openapi::run(),
    }
}
