//! `doorward service-token`.

use clap::{Args, Subcommand};
use doorward_domain::Gid;
use doorward_rpc::Scope;
use doorward_service_tokens::{ClientName, MAX_PROJECTS};

use super::list_format::ListFormat;

#[derive(Debug, Subcommand)]
pub(crate) enum ServiceTokenCommand {
    Create(CreateServiceToken),
    /// List the tokens, without their secrets: a table on a terminal, else a JSON array
    #[command(
        after_help = "Examples:\n  doorward service-token list\n  doorward service-token list --json"
    )]
    List(ListFormat),
    /// Revoke a token: within a second it is refused, and the streams opened with it end
    #[command(after_help = "Example:\n  doorward service-token revoke records")]
    Revoke {
        /// Name of the token, shown by `doorward service-token list`
        name: ClientName,
    },
}

/// Create the token of a client of the gRPC services, and print it: the only time that it is shown
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  doorward service-token create --name search --scope verify --scope read\n  \
        doorward service-token create --name records --scope publish --project 0f8fad5b-d9cb-469f-a165-70867728950e\n\n\
        Scopes:\n  verify   verify users' tokens (VerifyToken, WatchTrust, GetPublicKeys)\n  \
        read     read users, projects and members\n  follow   follow the change feed (WatchChanges, WatchEvents)\n  \
        publish  publish in the feeds of the projects given by --project (Publish)"
)]
pub(crate) struct CreateServiceToken {
    /// Name of the client: a-z, 0-9, '-', '_' and '.'; with TLS between the services, also a name
    /// in its certificate
    #[arg(long)]
    pub name: ClientName,
    /// Scope of the token: verify, read, follow or publish; can be repeated
    #[arg(long = "scope", value_name = "SCOPE", required = true)]
    pub scopes: Vec<Scope>,
    /// Gid of a project to publish in; can be repeated
    #[arg(long = "project", value_name = "PROJECT")]
    pub projects: Vec<Gid>,
}

impl CreateServiceToken {
    /// Checks what one option requires of another.
    ///
    /// # Errors
    /// The message for wrong usage.
    pub(super) fn check(&self) -> Result<(), String> {
        let publishes = self.scopes.contains(&Scope::Publish);
        match self.projects.len() {
            0 if publishes => Err(
                "--scope publish needs the projects to publish in: --project <PROJECT>".to_owned(),
            ),
            0 => Ok(()),
            _ if !publishes => Err("--project is only for --scope publish".to_owned()),
            1..=MAX_PROJECTS => Ok(()),
            _ => Err(format!(
                "--project can be given at most {MAX_PROJECTS} times"
            )),
        }
    }
}
