//! `doorward keys`.

use clap::Subcommand;

use super::ListFormat;

#[derive(Debug, Subcommand)]
pub(crate) enum KeysCommand {
    /// List the signing keys: a table on a terminal, else a JSON array
    #[command(after_help = "Examples:\n  doorward keys list\n  doorward keys list --json")]
    List(ListFormat),
    /// Sign with the next key from now on; tokens in use stay good
    #[command(after_help = "Example:\n  doorward keys rotate")]
    Rotate,
    /// Seal all keys with another master key
    ///
    /// The new one is given by DOORWARD_NEW_MASTER_KEY, DOORWARD_NEW_MASTER_KEY_FILE or --new-master-key-file; for the one
    /// in the data directory, another is made when none is given. Processes that run keep the old one until they are
    /// started again with the new: until then they go on, but make and show no API keys, and keys must not be rotated.
    #[command(after_help = "Example:\n  doorward keys reseal --new-master-key-file new.key")]
    Reseal,
    /// Verify nothing with a key any more
    #[command(
        after_help = "Example:\n  doorward keys retire 3yMApqCuCjXDWPrbjfR5mjCPTHqFG8Pux1TxQrEM35jj"
    )]
    Retire {
        /// As `doorward keys list` shows it
        // It is base64url, which may begin with a hyphen.
        #[arg(allow_hyphen_values = true)]
        kid: String,
    },
}
