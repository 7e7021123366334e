//! Reads streams of a health service that is called in this process, without a connection.

use std::{pin::Pin, time::Instant};

use tokio_stream::{Stream, StreamExt};
use tonic::{Code, Request, Response};
use tonic_health::pb::{
    HealthCheckRequest, HealthCheckResponse,
    health_client::HealthClient,
    health_server::{Health, HealthServer},
};

use super::*;

const SHORT: Duration = Duration::from_millis(100);
/// Timeout of streams that are never silent for long.
const LONG: Duration = Duration::from_secs(20);

type Item = Result<HealthCheckResponse, Status>;

/// A service whose stream has these items, and then ends or stays open.
struct Script {
    items: Vec<Item>,
    stays_open: bool,
}

#[tonic::async_trait]
impl Health for Script {
    type WatchStream = Pin<Box<dyn Stream<Item = Item> + Send>>;

    async fn check(
        &self,
        _: Request<HealthCheckRequest>,
    ) -> Result<Response<HealthCheckResponse>, Status> {
        Err(Status::unimplemented("only streams"))
    }

    async fn watch(
        &self,
        _: Request<HealthCheckRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        let items = tokio_stream::iter(self.items.clone());
        let stream: Self::WatchStream = if self.stays_open {
            Box::pin(items.chain(tokio_stream::pending()))
        } else {
            Box::pin(items)
        };
        Ok(Response::new(stream))
    }
}

async fn open(items: Vec<Item>, stays_open: bool) -> Streaming<HealthCheckResponse> {
    let mut client = HealthClient::new(HealthServer::new(Script { items, stays_open }));
    let stream = client.watch(HealthCheckRequest::default()).await.unwrap();
    stream.into_inner()
}

/// Returns messages with these numbers.
fn messages(numbers: &[i32]) -> Vec<Item> {
    numbers
        .iter()
        .map(|number| Ok(HealthCheckResponse { status: *number }))
        .collect()
}

/// Reads a stream to its end, and records the numbers of its messages.
async fn record(
    mut stream: Streaming<HealthCheckResponse>,
    timeout: Duration,
    received: &mut Vec<i32>,
) -> Result<(), NextMessageError> {
    while let Some(message) = next_message(&mut stream, timeout).await? {
        received.push(message.status);
    }
    Ok(())
}

#[tokio::test]
async fn messages_arrive_in_order_until_the_server_ends_the_stream() {
    for numbers in [&[][..], &[1, 2, 3]] {
        let mut received = Vec::new();
        let ended = record(open(messages(numbers), false).await, LONG, &mut received).await;
        assert!(ended.is_ok(), "{ended:?}");
        assert_eq!(received, numbers);
    }
}

#[tokio::test]
async fn silence_ends_the_stream_after_the_timeout() {
    for numbers in [&[][..], &[1, 2]] {
        let mut received = Vec::new();
        let stream = open(messages(numbers), true).await;
        let start = Instant::now();
        let ended = record(stream, SHORT, &mut received).await;
        assert!(matches!(ended, Err(NextMessageError::Timeout)), "{ended:?}");
        assert!(start.elapsed() >= SHORT);
        assert_eq!(received, numbers);
    }
}

#[tokio::test]
async fn timeout_excludes_the_time_between_two_reads() {
    let mut stream = open(messages(&[1, 2]), false).await;
    for number in [1, 2] {
        let message = next_message(&mut stream, SHORT).await.unwrap().unwrap();
        assert_eq!(message.status, number);
        // Must really pass: the timeout would expire during it if it included the time between two
        // reads. No event could replace it.
        tokio::time::sleep(SHORT * 3).await;
    }
    assert!(next_message(&mut stream, SHORT).await.unwrap().is_none());
}

#[tokio::test]
async fn status_of_the_server_arrives_after_its_messages() {
    let mut received = Vec::new();
    let mut items = messages(&[1]);
    items.push(Err(Status::failed_precondition("gone")));
    items.extend(messages(&[2]));
    let ended = record(open(items, false).await, LONG, &mut received).await;
    let Err(NextMessageError::Status(status)) = ended else {
        panic!("{ended:?}")
    };
    assert_eq!(status.code(), Code::FailedPrecondition);
    assert_eq!(status.message(), "gone");
    assert_eq!(received, [1]);
}
