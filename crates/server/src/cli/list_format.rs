//! The flag `--json` of all commands that print a list.

use clap::Args;

/// Format of a list: a table on a terminal, else JSON
#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct ListFormat {
    /// Print a JSON array, also on a terminal
    #[arg(long)]
    pub json: bool,
}
