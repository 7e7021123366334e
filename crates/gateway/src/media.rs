//! Pictures: what receiving, storing and deleting them needs, and the names of their files.

use doorward_media::{DecoderPool, Store, StoreError};
use doorward_rpc::RpcError;
use tokio::sync::Notify;

use crate::http::{envelope::ApiError, upload::UploadMemory};

/// Object store of the pictures, and the means to fill it.
pub(crate) struct Media {
    pub(crate) object_store: Store,
    pub(crate) decoder: DecoderPool,
    pub(crate) upload_memory: UploadMemory,
    /// Wakes the media cleanup after pictures were discarded.
    pub(crate) discarded: Notify,
}

impl Media {
    pub(crate) fn new(object_store: Store) -> Self {
        Self {
            object_store,
            decoder: DecoderPool::default(),
            upload_memory: UploadMemory::default(),
            discarded: Notify::new(),
        }
    }
}

/// Returns the path of an avatar in the object store.
pub(crate) fn avatar_file(name: &str) -> String {
    format!("avatars/{name}")
}

/// Returns the path of an icon in the object store.
pub(crate) fn icon_file(name: &str) -> String {
    format!("icons/{name}")
}

/// Logs an error of the object store. Its response is 503.
pub(crate) fn object_store_error(error: &StoreError) -> ApiError {
    tracing::warn!(%error, "the object store failed; answering with 503");
    RpcError::unavailable().into()
}
