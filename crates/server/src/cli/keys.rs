//! `doorward keys`.

use clap::Subcommand;

#[derive(Debug, Subcommand)]
pub(crate) enum KeysCommand {
    /// List the signing keys, as a JSON array
    #[command(after_help = "Example:\n  doorward keys list")]
    List,
    /// Sign with the next key from now on; tokens in use stay good
    #[command(after_help = "Example:\n  doorward keys rotate")]
    Rotate,
    /// Verify nothing with a key any more
    #[command(after_help = "Example:\n  doorward keys retire 3yMApqCuCjXDWPrbjfR5mjCPTHqFG8Pux1TxQrEM35jj")]
    Retire {
        /// As `doorward keys list` shows it
        kid: String,
    },
}
