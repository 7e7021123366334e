//! `doorward project` and `doorward member`.

use clap::{Args, Subcommand};
use doorward_domain::{DisplayName, Gid, Role};

#[derive(Debug, Subcommand)]
pub(crate) enum ProjectCommand {
    Create(CreateProject),
    /// List all projects, as a JSON array
    #[command(after_help = "Example:\n  doorward project list")]
    List,
    /// Show a project
    #[command(after_help = "Example:\n  doorward project show 0f8fad5b-d9cb-469f-a165-70867728950e")]
    Show {
        /// Its gid
        project: Gid,
    },
}

/// Create a project
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  doorward project create --owner ann --name 'Spring catalogue'")]
pub(crate) struct CreateProject {
    /// Username or gid
    #[arg(long)]
    pub owner: String,
    #[arg(long, value_parser = DisplayName::parse)]
    pub name: DisplayName,
}

#[derive(Debug, Subcommand)]
pub(crate) enum MemberCommand {
    /// Make a user an active member at once
    #[command(after_help = "Example:\n  doorward member add --project 0f8fad5b-d9cb-469f-a165-70867728950e --user ann")]
    Add {
        /// Gid of the project
        #[arg(long)]
        project: Gid,
        /// Username or gid
        #[arg(long)]
        user: String,
        #[arg(long, default_value = "member")]
        role: Role,
    },
    /// List the members of a project, as a JSON array
    #[command(after_help = "Example:\n  doorward member list --project 0f8fad5b-d9cb-469f-a165-70867728950e")]
    List {
        /// Gid of the project
        #[arg(long)]
        project: Gid,
    },
}
