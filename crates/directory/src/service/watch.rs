//! RPCs that stream the change feed. They parse and start the stream; its pages are read in
//! `feed/watch.rs`.

use doorward_rpc::{RpcError, directory::v1 as pb};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};

use crate::{
    feed::watch,
    service::{request::RpcResult, state::Service},
};

/// The stream of the messages of an RPC.
pub(super) type MessageStream<M> = ReceiverStream<Result<M, Status>>;

pub(super) async fn watch_changes(
    service: &Service,
    request: Request<pb::WatchChangesRequest>,
) -> RpcResult<MessageStream<pb::WatchChangesResponse>> {
    let request = request.into_inner();
    let cursor = stream_start(service, request.cursor).await?;
    // Few pages are buffered: a slow client delays its own stream only.
    let (sender, receiver) = mpsc::channel(4);
    tokio::spawn(watch::stream_pages(
        service.directory.clone(),
        cursor,
        watch::change_page,
        sender,
        service.shutdown.clone(),
    ));
    Ok(Response::new(ReceiverStream::new(receiver)))
}

pub(super) async fn watch_events(
    service: &Service,
    request: Request<pb::WatchEventsRequest>,
) -> RpcResult<MessageStream<pb::WatchEventsResponse>> {
    let request = request.into_inner();
    let cursor = stream_start(service, request.cursor).await?;
    let (sender, receiver) = mpsc::channel(4);
    tokio::spawn(watch::stream_pages(
        service.directory.clone(),
        cursor,
        watch::event_page,
        sender,
        service.shutdown.clone(),
    ));
    Ok(Response::new(ReceiverStream::new(receiver)))
}

/// Returns the cursor after which a stream starts: the requested one, or the head of the feed.
async fn stream_start(service: &Service, requested: Option<i64>) -> Result<i64, RpcError> {
    match requested {
        Some(cursor) if cursor < 0 => Err(RpcError::invalid_parameter("cursor")),
        Some(cursor) => Ok(cursor),
        None => Ok(service.directory.feed_head().await?),
    }
}
