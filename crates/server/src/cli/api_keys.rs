//! `doorward apikey`.

use clap::Subcommand;
use doorward_domain::{DisplayName, Gid};

#[derive(Debug, Subcommand)]
pub(crate) enum ApiKeyCommand {
    /// Create an API user of a project, and print its gid and its key
    #[command(
        after_help = "Example:\n  doorward apikey create --project 0f8fad5b-d9cb-469f-a165-70867728950e --name 'Nightly export'"
    )]
    Create {
        /// Gid of the project
        #[arg(long)]
        project: Gid,
        /// Name of the API user, shown to other users
        #[arg(long, value_parser = DisplayName::parse)]
        name: DisplayName,
    },
}
