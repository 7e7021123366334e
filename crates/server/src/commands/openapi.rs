//! `doorward openapi`.

use crate::stdout;

/// Prints the same text that the gateway serves.
pub(super) fn run() -> anyhow::Result<()> {
    Ok(stdout::print_text(&doorward_gateway::openapi_json()?)?)
}
