//! Runs a command.

mod api_key;
mod audit;
mod demo;
pub(crate) mod healthcheck;
mod import;
mod keys;
mod member;
mod migrate;
mod openapi;
mod project;
mod serve;
mod user;

use serde_json::Value;

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

/// A list on its way to stdout, page by page: one JSON array, an entry a line.
#[derive(Default)]
struct Listing {
    has_entries: bool,
}

impl Listing {
    const PAGE: i64 = 1000;

    /// Whether there may be more; an empty page ends the list.
    fn add(&mut self, entries: impl ExactSizeIterator<Item = Value>) -> std::io::Result<bool> {
        if entries.len() == 0 {
            return self.end().map(|()| false);
        }
        for entry in entries {
            let before = if std::mem::replace(&mut self.has_entries, true) { ",\n" } else { "[\n" };
            stdout::text(&format!("{before}{entry}"))?;
        }
        Ok(true)
    }

    fn end(&self) -> std::io::Result<()> {
        stdout::text(if self.has_entries { "\n]\n" } else { "[]\n" })
    }
}
