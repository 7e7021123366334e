//! One module per command. They print to stdout and know nothing of clap.

mod api_key;
mod audit;
mod demo;
mod export;
pub(crate) mod export_stream;
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

use anyhow::bail;
use doorward_directory::{Directory, Error, model::User};
use doorward_domain::Gid;

use crate::{
    cli::{Command, Serve, UserName},
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

/// Finds the user that a command names.
async fn find_user(directory: &Directory, name: impl Into<UserName>) -> anyhow::Result<User> {
    match name.into() {
        UserName::Gid(gid) => Ok(directory.get_user_by_gid(gid).await?),
        UserName::Username(username) => match directory.get_user_by_username(&username).await {
            Err(Error::UserNotFound) if username.parse::<Gid>().is_ok() => {
                bail!(
                    "no user has this username; a gid is given by `--gid`, `--user-gid`, `--owner-gid` or `--to-gid`"
                )
            }
            found => Ok(found?),
        },
    }
}
