//! Deletes the files of pictures that belong to nobody. Every gateway does, and several may do it at once.

use std::{sync::Arc, time::Duration};

use doorward_rpc::{
    Channel,
    directory::v1::{
        ConfirmMediaDeletionRequest, ListDiscardedMediaRequest, directory_client::DirectoryClient,
    },
};
use futures_util::{StreamExt, stream};
use tokio_util::sync::CancellationToken;

use crate::Gateway;

/// Sooner, when this gateway itself has caused something.
const PAUSE: Duration = Duration::from_secs(2);
const AT_ONCE: usize = 8;

pub(crate) async fn run(gateway: Arc<Gateway>, directory: Channel, shutdown: CancellationToken) {
    let mut client = DirectoryClient::new(directory);
    let mut is_logged = false;
    loop {
        let round = async {
            // Woken, or not.
            let _ = tokio::time::timeout(PAUSE, gateway.media_discarded.notified()).await;
            delete_discarded(&gateway, &mut client).await
        };
        match shutdown.run_until_cancelled(round).await {
            None => return,
            Some(Ok(())) => is_logged = false,
            Some(Err(reason)) => {
                if !std::mem::replace(&mut is_logged, true) {
                    tracing::warn!(reason, "discarded pictures can't be deleted; trying on");
                }
            }
        }
    }
}

/// Page by page, until none is left.
async fn delete_discarded(
    gateway: &Gateway,
    client: &mut DirectoryClient<Channel>,
) -> Result<(), String> {
    loop {
        let list = client
            .list_discarded_media(ListDiscardedMediaRequest {})
            .await;
        let names = list
            .map_err(|status| format!("the directory: {:?}", status.code()))?
            .into_inner()
            .file_names;
        if names.is_empty() {
            return Ok(());
        }
        let deletions = stream::iter(names).map(|file_name| async move {
            let deleted = gateway.object_store.delete(&file_name).await;
            deleted
                .map(|()| file_name)
                .map_err(|error| format!("the object store: {error}"))
        });
        let (mut gone, mut failure) = (Vec::new(), None);
        for deleted in deletions
            .buffer_unordered(AT_ONCE)
            .collect::<Vec<_>>()
            .await
        {
            match deleted {
                Ok(name) => gone.push(name),
                Err(reason) => failure = Some(reason),
            }
        }
        let forget = client
            .confirm_media_deletion(ConfirmMediaDeletionRequest { file_names: gone })
            .await;
        forget.map_err(|status| format!("the directory: {:?}", status.code()))?;
        if let Some(reason) = failure {
            return Err(reason);
        }
    }
}
