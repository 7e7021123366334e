//! RPCs that stream the change feed. They parse and start the stream; its pages are read in
//! `feed/watch.rs`.

use doorward_rpc::{RpcError, directory::v1 as pb};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::{Response, Status};

use crate::{Directory, feed::watch, service::request::RpcResult};

/// The stream of the messages of an RPC.
pub(super) type MessageStream<M> = ReceiverStream<Result<M, Status>>;

pub(super) async fn watch_changes(
    directory: &Directory,
    request: pb::WatchChangesRequest,
    shutdown: &CancellationToken,
) -> RpcResult<MessageStream<pb::WatchChangesResponse>> {
    let cursor = stream_start(directory, request.cursor).await?;
    // Few pages are buffered: a slow client delays its own stream only.
    let (sender, receiver) = mpsc::channel(4);
    tokio::spawn(watch::stream_pages(
        directory.clone(),
        cursor,
        watch::change_page,
        sender,
        shutdown.clone(),
    ));
    Ok(Response::new(ReceiverStream::new(receiver)))
}

pub(super) async fn watch_events(
    directory: &Directory,
    request: pb::WatchEventsRequest,
    shutdown: &CancellationToken,
) -> RpcResult<MessageStream<pb::WatchEventsResponse>> {
    let cursor = stream_start(directory, request.cursor).await?;
    let (sender, receiver) = mpsc::channel(4);
    tokio::spawn(watch::stream_pages(
        directory.clone(),
        cursor,
        watch::event_page,
        sender,
        shutdown.clone(),
    ));
    Ok(Response::new(ReceiverStream::new(receiver)))
}

/// Returns the cursor after which a stream starts: the requested one, or the head of the feed.
async fn stream_start(directory: &Directory, requested: Option<i64>) -> Result<i64, RpcError> {
    match requested {
        Some(cursor) if cursor < 0 => Err(RpcError::invalid_parameter("cursor")),
        Some(cursor) => Ok(cursor),
        None => Ok(directory.feed_head().await?),
    }
}
