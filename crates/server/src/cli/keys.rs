//! `doorward keys`.

use clap::Subcommand;

use super::list_format::ListFormat;

#[derive(Debug, Subcommand)]
pub(crate) enum KeysCommand {
    /// List the signing keys: a table on a terminal, else a JSON array
    #[command(after_help = "Examples:\n  doorward keys list\n  doorward keys list --json")]
    List(ListFormat),
    /// Sign with the next key from now on; tokens in use stay valid
    #[command(after_help = "Example:\n  doorward keys rotate")]
    Rotate,
    /// Seal all keys with another master key
    ///
    /// DOORWARD_NEW_MASTER_KEY, DOORWARD_NEW_MASTER_KEY_FILE or --new-master-key-file gives the new
    /// key. If none is given and the old key is the one in the data directory, a new one is
    /// generated. Running processes use the old key until they are restarted with the new one.
    /// Until then they create and show no API keys, and signing keys must not be rotated.
    #[command(after_help = "Example:\n  doorward keys reseal --new-master-key-file new.key")]
    Reseal,
    /// Reject all tokens that were signed with a key, from now on
    #[command(
        after_help = "Example:\n  doorward keys retire 3yMApqCuCjXDWPrbjfR5mjCPTHqFG8Pux1TxQrEM35jj"
    )]
    Retire {
        /// Id of the key, shown by `doorward keys list`
        // A key id is base64url, which may begin with a hyphen.
        #[arg(allow_hyphen_values = true)]
        kid: String,
    },
}
