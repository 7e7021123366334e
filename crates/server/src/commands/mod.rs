//! Runs a command.

mod api_key;
mod audit;
mod demo;
pub(crate) mod healthcheck;
mod import;
mod keys;
mod listing;
mod member;
mod migrate;
mod openapi;
mod project;
mod serve;
mod user;

use crate::{
    cli::{Command, Serve},
    settings::Settings,
    stdout,
};

/// # Errors
/// Why the command failed, for people. [`crate::settings::Mistakes`] among the causes means wrong usage.
pub(crate) async fn run(command: Command, settings: Settings) -> anyhow::Result<()> {
    match command {
        Command::Demo => demo::run(settings).await,
        Command::Serve(Serve { print_config: true, .. }) => Ok(stdout::text(&settings.to_toml())?),
        Command::Serve(Serve { print_config: false, .. }) => serve::run(&settings).await,
        Command::Migrate => migrate::run(&settings).await,
        Command::User(command) => user::run(command, &settings).await,
        Command::Project(command) => project::run(command, &settings).await,
        Command::Member(command) => member::run(command, &settings).await,
        Command::ApiKey(command) => api_key::run(command, &settings).await,
        Command::Audit(command) => audit::run(command, &settings).await,
        Command::Keys(command) => keys::run(command, &settings).await,
        Command::Healthcheck(command) => healthcheck::run(command, settings.ops_listen).await,
        Command::Openapi => openapi::run(),
    }
}
