//! Follows the directory's stream of feed events and passes them to the dispatcher. It reconnects
//! after a failure and knows no subscriber.

use std::time::Duration;

use doorward_domain::ErrorCode;
use doorward_rpc::{
    Channel, NextMessageError, RpcError,
    channel::MAX_MESSAGE_BYTES,
    directory::v1::{WatchEventsRequest, directory_client::DirectoryClient},
    next_message,
};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::{dispatcher::DispatcherInput, event::FeedEvent};

/// Pause before another connection.
const PAUSE: Duration = Duration::from_millis(300);
/// Maximum time without a message. The directory sends a heartbeat each second, so a longer silence
/// means that the connection is dead.
const STREAM_TIMEOUT: Duration = Duration::from_secs(5);
/// Reason for the log after [`STREAM_TIMEOUT`].
const TIMED_OUT: &str = "no message in time";

pub(crate) async fn run(
    directory: Channel,
    inputs: mpsc::Sender<DispatcherInput>,
    shutdown: CancellationToken,
) {
    let mut position = StreamPosition {
        cursor: None,
        has_received: false,
    };
    // One message for each outage: a stream that delivered something ends the outage.
    let mut is_logged = false;
    let follow = async {
        loop {
            let ended = read_stream(&directory, &inputs, &mut position).await;
            is_logged &= !std::mem::take(&mut position.has_received);
            if let Err(reason) = ended
                && !std::mem::replace(&mut is_logged, true)
            {
                tracing::warn!(
                    reason,
                    "lost the stream of feed events; sockets receive no rows until it is back; retrying"
                );
            }
            tokio::time::sleep(PAUSE).await;
        }
    };
    shutdown.run_until_cancelled(follow).await;
}

/// Position in the stream of feed events, across connections.
struct StreamPosition {
    /// Cursor up to which all events were received; absent before the first message.
    cursor: Option<i64>,
    /// Whether this connection has delivered a message, even if only a heartbeat.
    has_received: bool,
}

/// Reads one connection to its end. Returns the reason if it failed.
async fn read_stream(
    directory: &Channel,
    inputs: &mpsc::Sender<DispatcherInput>,
    position: &mut StreamPosition,
) -> Result<(), String> {
    let mut client =
        DirectoryClient::new(directory.clone()).max_decoding_message_size(MAX_MESSAGE_BYTES);
    let stream = tokio::time::timeout(
        STREAM_TIMEOUT,
        client.watch_events(WatchEventsRequest {
            cursor: position.cursor,
        }),
    );
    let mut stream = match stream.await.map_err(|_| TIMED_OUT.to_owned())? {
        Ok(stream) => stream.into_inner(),
        Err(status) => return Err(handle_stream_error(&status, inputs, position).await),
    };
    loop {
        let message = match next_message(&mut stream, STREAM_TIMEOUT).await {
            Ok(Some(message)) => message,
            Ok(None) => return Ok(()),
            Err(NextMessageError::Timeout) => return Err(TIMED_OUT.to_owned()),
            Err(NextMessageError::Status(status)) => {
                return Err(handle_stream_error(&status, inputs, position).await);
            }
        };
        *position = StreamPosition {
            cursor: Some(message.cursor),
            has_received: true,
        };
        let events = message.events.into_iter().map(FeedEvent::from).collect();
        inputs
            .send(DispatcherInput::Events(events, message.cursor))
            .await
            .map_err(|_| "the dispatcher has stopped".to_owned())?;
    }
}

/// Returns the reason of a failure. If the directory rejects the cursor, because it no longer
/// stores the rows after it or does not know it, the stream starts again in the present.
async fn handle_stream_error(
    status: &tonic::Status,
    inputs: &mpsc::Sender<DispatcherInput>,
    position: &mut StreamPosition,
) -> String {
    let Some(RpcError { code, .. }) = RpcError::from_service_status(status) else {
        return format!("{:?}", status.code());
    };
    if matches!(code, ErrorCode::Unprocessable | ErrorCode::InvalidRequest)
        && position.cursor.take().is_some()
    {
        let _ = inputs.send(DispatcherInput::StreamLost).await;
    }
    code.to_string()
}

#[cfg(test)]
mod tests {
    use tonic::{Code, Status};

    use super::*;

    #[tokio::test]
    async fn only_a_cursor_that_the_directory_refuses_is_given_up() {
        let failure = |code| Status::from(RpcError::new(code));
        let cases = [
            (failure(ErrorCode::Unprocessable), "UNPROCESSABLE", true),
            (failure(ErrorCode::InvalidRequest), "INVALID_REQUEST", true),
            (failure(ErrorCode::Unavailable), "UNAVAILABLE", false),
            (
                failure(ErrorCode::Unauthenticated),
                "UNAUTHENTICATED",
                false,
            ),
            (
                Status::new(Code::FailedPrecondition, ""),
                "FailedPrecondition",
                false,
            ),
        ];
        for (status, reason, is_given_up) in cases {
            let (inputs, mut received) = mpsc::channel(8);
            let mut position = StreamPosition {
                cursor: Some(7),
                has_received: true,
            };
            assert_eq!(
                handle_stream_error(&status, &inputs, &mut position).await,
                reason
            );
            assert_eq!(position.cursor.is_none(), is_given_up, "{reason}");
            assert_eq!(
                matches!(received.try_recv(), Ok(DispatcherInput::StreamLost)),
                is_given_up,
                "{reason}"
            );
            // A stream that began in the present has no cursor to give up.
            let mut position = StreamPosition {
                cursor: None,
                has_received: false,
            };
            assert_eq!(
                handle_stream_error(&status, &inputs, &mut position).await,
                reason
            );
            assert!(received.try_recv().is_err(), "{reason}");
        }
    }
}
