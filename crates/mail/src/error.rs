//! Errors of this crate.

use crate::sealing::SealError;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A setting is invalid. The text contains no secrets.
    #[error("{0}")]
    Config(String),
    #[error(transparent)]
    Storage(#[from] doorward_storage::Error),
    #[error(transparent)]
    Seal(#[from] SealError),
}
