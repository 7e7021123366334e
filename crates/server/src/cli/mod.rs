//! The command line. Every command also has the flags of all settings, which come from the table of
//! settings.

#![expect(
    clippy::doc_markdown,
    reason = "doc comments of commands are the texts of `--help`"
)]

mod api_keys;
mod audit;
mod keys;
mod list_format;
mod projects;
mod service_tokens;
mod users;

use std::path::PathBuf;

use clap::{ArgMatches, Args, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};

use crate::settings::{self, Role};

pub(crate) use api_keys::ApiKeyCommand;
pub(crate) use audit::Audit;
pub(crate) use keys::KeysCommand;
pub(crate) use list_format::ListFormat;
pub(crate) use projects::{CreateProject, MemberCommand, ProjectCommand};
pub(crate) use service_tokens::{CreateServiceToken, ServiceTokenCommand};
pub(crate) use users::{CreateUser, NewPassword, PasswordOptions, UserCommand, UserName};

/// Login server of a multi-user, multi-project application: logins, projects, members.
#[derive(Debug, Parser)]
#[command(
    name = "doorward",
    arg_required_else_help = true,
    subcommand_required = true
)]
#[command(
    after_help = "Examples:\n  doorward demo\n  doorward serve --config doorward.toml\n\n\
    Settings: defaults, then --config, then DOORWARD_* variables, then flags; `--help` lists them all."
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Try it out: everything in one process over SQLite, with a few users and projects
    #[command(after_help = "Example:\n  doorward demo --data-dir /tmp/doorward")]
    Demo,
    Serve(Serve),
    /// Bring the databases up to date, and exit
    ///
    /// Safe to run from several places at once.
    #[command(after_help = "Example:\n  doorward migrate --config doorward.toml")]
    Migrate,
    /// Administer users
    #[command(subcommand, after_help = "Example:\n  doorward user list")]
    User(UserCommand),
    /// Administer projects
    #[command(subcommand, after_help = "Example:\n  doorward project list")]
    Project(ProjectCommand),
    /// Administer the members of projects
    #[command(
        subcommand,
        after_help = "Example:\n  doorward member add --project P --user ann"
    )]
    Member(MemberCommand),
    /// Administer the API keys of projects
    #[command(
        name = "apikey",
        subcommand,
        after_help = "Example:\n  doorward apikey create --project P --name 'Nightly export'"
    )]
    ApiKey(ApiKeyCommand),
    /// Administer the keys that sign tokens
    #[command(subcommand, after_help = "Example:\n  doorward keys rotate")]
    Keys(KeysCommand),
    /// Administer the tokens of clients of the gRPC services
    #[command(
        name = "service-token",
        subcommand,
        after_help = "Example:\n  doorward service-token list"
    )]
    ServiceToken(ServiceTokenCommand),
    Audit(Audit),
    /// Write the whole state as one stream of JSON lines
    ///
    /// Contains both databases and all pictures in one snapshot, also while a server runs. Secrets
    /// stay sealed with the master key, and passwords hashed; keep the file as private as the
    /// databases.
    #[command(
        after_help = "Examples:\n  doorward export state.jsonl\n  doorward export | gzip >state.jsonl.gz"
    )]
    Export {
        /// [default: stdout]
        file: Option<PathBuf>,
    },
    /// Read the whole state from an export into an empty installation, on any database
    ///
    /// Secrets are sealed again with the master key of this installation. If the export has another
    /// master key, DOORWARD_MASTER_KEY_OLD, DOORWARD_MASTER_KEY_OLD_FILE or --master-key-old-file
    /// gives it. After an import that was interrupted or has failed, the installation does not
    /// start; the import can be repeated.
    #[command(after_help = "Examples:\n  doorward import state.jsonl\n  \
        gunzip <state.jsonl.gz | doorward import --master-key-old-file old.key")]
    Import {
        /// [default: stdin]
        file: Option<PathBuf>,
    },
    Healthcheck(Healthcheck),
    /// Print the HTTP API as an OpenAPI 3.1 document
    #[command(after_help = "Example:\n  doorward openapi >openapi.json")]
    Openapi,
}

/// Run one service, or all of them in one process
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  doorward serve\n  doorward serve auth --migrate\n  doorward serve gateway --print-config"
)]
pub(crate) struct Serve {
    #[arg(value_enum, default_value_t = Service::All)]
    pub service: Service,
    /// Print the effective settings as TOML, without secrets, and exit
    #[arg(long)]
    pub print_config: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Service {
    All,
    Gateway,
    Auth,
    Directory,
}

/// Exit 0 when a server is ready, else 1
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  doorward healthcheck\n  doorward healthcheck http://10.0.0.5:9090/health/ready"
)]
pub(crate) struct Healthcheck {
    /// [default: /health/ready of this machine's operations listener]
    pub url: Option<String>,
}

impl Command {
    /// Checks what clap cannot express.
    ///
    /// # Errors
    /// The message for wrong usage.
    fn check(&self) -> Result<(), String> {
        match self {
            Self::ServiceToken(ServiceTokenCommand::Create(create)) => create.check(),
            Self::ServiceToken(
                ServiceTokenCommand::List(_) | ServiceTokenCommand::Revoke { .. },
            )
            | Self::Demo
            | Self::Serve(_)
            | Self::Migrate
            | Self::User(_)
            | Self::Project(_)
            | Self::Member(_)
            | Self::ApiKey(_)
            | Self::Keys(_)
            | Self::Audit(_)
            | Self::Export { .. }
            | Self::Import { .. }
            | Self::Healthcheck(_)
            | Self::Openapi => Ok(()),
        }
    }

    pub(crate) const fn role(&self) -> Role {
        match self {
            Self::Demo => Role::Demo,
            Self::Serve(Serve {
                service: Service::All,
                ..
            }) => Role::All,
            Self::Serve(Serve {
                service: Service::Gateway,
                ..
            }) => Role::Gateway,
            Self::Serve(Serve {
                service: Service::Auth,
                ..
            }) => Role::Auth,
            Self::Serve(Serve {
                service: Service::Directory,
                ..
            }) => Role::Directory,
            Self::Migrate => Role::Migrate,
            Self::User(_)
            | Self::Project(_)
            | Self::Member(_)
            | Self::ApiKey(_)
            | Self::Keys(_)
            | Self::ServiceToken(_)
            | Self::Audit(_)
            | Self::Export { .. }
            | Self::Import { .. }
            | Self::Healthcheck(_)
            | Self::Openapi => Role::Admin,
        }
    }
}

/// Returns the command, and the matches that contain the flags of settings.
///
/// # Errors
/// Wrong usage, or a request for help or the version; the error has its text and exit code.
pub(crate) fn parse(
    arguments: impl IntoIterator<Item = std::ffi::OsString>,
) -> Result<(Command, ArgMatches), clap::Error> {
    let matches = build_command().try_get_matches_from(arguments)?;
    let cli =
        Cli::from_arg_matches(&matches).map_err(|error| error.format(&mut build_command()))?;
    let wrong_usage =
        |message| build_command().error(clap::error::ErrorKind::ValueValidation, message);
    cli.command.check().map_err(wrong_usage)?;
    Ok((cli.command, matches))
}

fn build_command() -> clap::Command {
    settings::flags::add_to(Cli::command().version(doorward_domain::version::current_release()))
}

#[cfg(test)]
mod tests;
