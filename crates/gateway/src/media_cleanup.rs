//! Deletes the files of discarded pictures from the object store. The directory decides which files
//! are discarded; this task only deletes them.
//!
//! Every gateway runs it. Several can delete the same file at the same time, because deleting a
//! missing file is not an error.

use std::{sync::Arc, time::Duration};

use doorward_rpc::{
    Channel,
    directory::v1::{
        ConfirmMediaDeletionRequest, ListDiscardedMediaRequest, directory_client::DirectoryClient,
    },
};
use futures_util::{StreamExt, stream};
use tokio_util::sync::CancellationToken;

use crate::media::Media;

/// Time between two rounds. A round starts sooner when this gateway has discarded a picture.
const INTERVAL: Duration = Duration::from_secs(2);
/// Maximum number of concurrent deletions.
const MAX_CONCURRENT_DELETIONS: usize = 8;

/// Runs until `shutdown`. Failures are logged once until a round succeeds again.
pub(crate) async fn run(media: Arc<Media>, directory: Channel, shutdown: CancellationToken) {
    let mut client = DirectoryClient::new(directory);
    let mut is_logged = false;
    loop {
        let round = async {
            // Woken by a discarded picture or by the timeout: both start a round.
            let _ = tokio::time::timeout(INTERVAL, media.discarded.notified()).await;
            delete_discarded(&media, &mut client).await
        };
        match shutdown.run_until_cancelled(round).await {
            None => return,
            Some(Ok(())) => is_logged = false,
            Some(Err(reason)) => {
                if !std::mem::replace(&mut is_logged, true) {
                    tracing::warn!(reason, "cannot delete discarded pictures; retrying");
                }
            }
        }
    }
}

/// Deletes all discarded files, page by page.
///
/// Files are confirmed to the directory only after their deletion, so a crash in between leaves
/// them in the list. On a failure the round ends after its page: the next page would contain the
/// failed files again.
async fn delete_discarded(
    media: &Media,
    client: &mut DirectoryClient<Channel>,
) -> Result<(), String> {
    loop {
        let list = client
            .list_discarded_media(ListDiscardedMediaRequest {})
            .await;
        let names = list
            .map_err(|status| format!("directory: {:?}", status.code()))?
            .into_inner()
            .file_names;
        if names.is_empty() {
            return Ok(());
        }
        let deletions = stream::iter(names).map(|file_name| async move {
            let deleted = media.object_store.delete(&file_name).await;
            deleted
                .map(|()| file_name)
                .map_err(|error| format!("object store: {error}"))
        });
        let mut deleted_names = Vec::new();
        let mut last_error = None;
        for result in deletions
            .buffer_unordered(MAX_CONCURRENT_DELETIONS)
            .collect::<Vec<_>>()
            .await
        {
            match result {
                Ok(name) => deleted_names.push(name),
                Err(reason) => last_error = Some(reason),
            }
        }
        let confirmed = client
            .confirm_media_deletion(ConfirmMediaDeletionRequest {
                file_names: deleted_names,
            })
            .await;
        confirmed.map_err(|status| format!("directory: {:?}", status.code()))?;
        if let Some(reason) = last_error {
            return Err(reason);
        }
    }
}
