//! Follows the directory's notices, and tells the hub.

use std::time::Duration;

use doorward_domain::ErrorCode;
use doorward_rpc::{
    Channel, RpcError,
    channel::MAX_MESSAGE_BYTES,
    directory::v1::{WatchEventsRequest, directory_client::DirectoryClient},
};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::{dispatcher::DispatcherInput, event::FeedEvent};

const PAUSE: Duration = Duration::from_millis(300);
/// The directory sends a heartbeat each second; without one for longer, the connection is given up.
const STREAM_TIMEOUT: Duration = Duration::from_secs(5);

pub(crate) async fn run(
    directory: Channel,
    inputs: mpsc::Sender<DispatcherInput>,
    shutdown: CancellationToken,
) {
    let mut place = StreamPosition {
        cursor: None,
        has_received: false,
    };
    let mut is_logged = false;
    let follow = async {
        loop {
            let ended = read_stream(&directory, &inputs, &mut place).await;
            is_logged &= !std::mem::take(&mut place.has_received);
            if let Err(reason) = ended
                && !std::mem::replace(&mut is_logged, true)
            {
                tracing::warn!(
                    reason,
                    "the directory's notices are not heard of: sockets are told nothing; trying on"
                );
            }
            tokio::time::sleep(PAUSE).await;
        }
    };
    shutdown.run_until_cancelled(follow).await;
}

struct StreamPosition {
    /// Up to here all was heard.
    cursor: Option<i64>,
    /// The stream has said something, if only that it is there.
    has_received: bool,
}

async fn read_stream(
    directory: &Channel,
    inputs: &mpsc::Sender<DispatcherInput>,
    place: &mut StreamPosition,
) -> Result<(), String> {
    let mut client =
        DirectoryClient::new(directory.clone()).max_decoding_message_size(MAX_MESSAGE_BYTES);
    let silent = |_| "silence".to_owned();
    let stream = tokio::time::timeout(
        STREAM_TIMEOUT,
        client.watch_events(WatchEventsRequest {
            cursor: place.cursor,
        }),
    );
    let mut stream = match stream.await.map_err(silent)? {
        Ok(stream) => stream.into_inner(),
        Err(status) => return Err(handle_stream_error(&status, inputs, place).await),
    };
    loop {
        let message = match tokio::time::timeout(STREAM_TIMEOUT, stream.message())
            .await
            .map_err(silent)?
        {
            Ok(Some(message)) => message,
            Ok(None) => return Ok(()),
            Err(status) => return Err(handle_stream_error(&status, inputs, place).await),
        };
        *place = StreamPosition {
            cursor: Some(message.cursor),
            has_received: true,
        };
        let notices = message.events.into_iter().map(FeedEvent::from).collect();
        inputs
            .send(DispatcherInput::Heard(notices, message.cursor))
            .await
            .map_err(|_| "the end".to_owned())?;
    }
}

/// What the directory doesn't keep any more can't be gone on from: then the stream begins anew, in the present.
async fn handle_stream_error(
    status: &tonic::Status,
    inputs: &mpsc::Sender<DispatcherInput>,
    place: &mut StreamPosition,
) -> String {
    let Some(RpcError { code, .. }) = RpcError::from_service_status(status) else {
        return format!("{:?}", status.code());
    };
    if matches!(code, ErrorCode::Unprocessable | ErrorCode::InvalidRequest)
        && place.cursor.take().is_some()
    {
        let _ = inputs.send(DispatcherInput::Lost).await;
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
            let mut place = StreamPosition {
                cursor: Some(7),
                has_received: true,
            };
            assert_eq!(
                handle_stream_error(&status, &inputs, &mut place).await,
                reason
            );
            assert_eq!(place.cursor.is_none(), is_given_up, "{reason}");
            assert_eq!(
                matches!(received.try_recv(), Ok(DispatcherInput::Lost)),
                is_given_up,
                "{reason}"
            );
            // A stream that began in the present has no cursor to give up.
            let mut place = StreamPosition {
                cursor: None,
                has_received: false,
            };
            assert_eq!(
                handle_stream_error(&status, &inputs, &mut place).await,
                reason
            );
            assert!(received.try_recv().is_err(), "{reason}");
        }
    }
}
