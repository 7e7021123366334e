//! `doorward project` and `doorward member`.

use clap::{Args, Subcommand};
use doorward_domain::{DisplayName, Gid, Role};

use super::{
    list_format::ListFormat,
    users::{OwnerOption, RecipientOption, UserOption},
};

#[derive(Debug, Subcommand)]
pub(crate) enum ProjectCommand {
    Create(CreateProject),
    /// List all projects: a table on a terminal, else a JSON array
    #[command(after_help = "Examples:\n  doorward project list\n  doorward project list --json")]
    List(ListFormat),
    /// Show a project
    #[command(
        after_help = "Example:\n  doorward project show 0f8fad5b-d9cb-469f-a165-70867728950e"
    )]
    Show {
        /// Gid of the project
        project: Gid,
    },
    /// Delete a project; its members cannot use it until it is undeleted
    #[command(
        after_help = "Example:\n  doorward project delete 0f8fad5b-d9cb-469f-a165-70867728950e"
    )]
    Delete {
        /// Gid of the project
        project: Gid,
    },
    /// Undelete a project
    #[command(
        after_help = "Example:\n  doorward project undelete 0f8fad5b-d9cb-469f-a165-70867728950e"
    )]
    Undelete {
        /// Gid of the project
        project: Gid,
    },
    /// Make an active member the owner; the old owner stays a member
    #[command(
        after_help = "Example:\n  doorward project transfer 0f8fad5b-d9cb-469f-a165-70867728950e --to ben"
    )]
    Transfer {
        /// Gid of the project
        project: Gid,
        #[command(flatten)]
        to: RecipientOption,
    },
}

/// Create a project
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  doorward project create --owner ann --name 'Spring catalogue'")]
pub(crate) struct CreateProject {
    #[command(flatten)]
    pub owner: OwnerOption,
    #[arg(long, value_parser = DisplayName::parse)]
    pub name: DisplayName,
}

#[derive(Debug, Subcommand)]
pub(crate) enum MemberCommand {
    /// Make a user an active member at once
    #[command(
        after_help = "Example:\n  doorward member add --project 0f8fad5b-d9cb-469f-a165-70867728950e --user ann"
    )]
    Add {
        /// Gid of the project
        #[arg(long)]
        project: Gid,
        #[command(flatten)]
        user: UserOption,
        #[arg(long, default_value = "member")]
        role: Role,
    },
    /// List the members of a project: a table on a terminal, else a JSON array
    #[command(
        after_help = "Example:\n  doorward member list --project 0f8fad5b-d9cb-469f-a165-70867728950e"
    )]
    List {
        /// Gid of the project
        #[arg(long)]
        project: Gid,
        #[command(flatten)]
        format: ListFormat,
    },
    /// Remove a member of any status from a project
    #[command(
        after_help = "Example:\n  doorward member remove --project 0f8fad5b-d9cb-469f-a165-70867728950e --user ben"
    )]
    Remove {
        /// Gid of the project
        #[arg(long)]
        project: Gid,
        #[command(flatten)]
        user: UserOption,
    },
}
