//! Idle connections and the shutdown of a server.

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::timeout,
};
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};

use super::*;

const LIMITS: IdleLimits = IdleLimits {
    goaway_after: Duration::from_millis(300),
    close_after: Duration::from_millis(600),
};
const TIMEOUT: Duration = Duration::from_secs(20);
/// Preface and empty SETTINGS of HTTP/2 (RFC 9113, section 3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";

async fn start() -> (std::net::SocketAddr, CancellationToken) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (_, health) = tonic_health::server::health_reporter();
    let shutdown = CancellationToken::new();
    tokio::spawn(serve_tcp(
        Routes::new(health),
        Some((listener, None)),
        LIMITS,
        shutdown.clone(),
    ));
    (address, shutdown)
}

#[tokio::test]
async fn idle_connections_are_closed() {
    let (address, _shutdown) = start().await;
    for sent in [&b""[..], b"PRI", PREFACE] {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(sent).await.unwrap();
        let mut received = Vec::new();
        let closed = timeout(TIMEOUT, stream.read_to_end(&mut received)).await;
        assert!(closed.is_ok(), "still open after {} bytes", sent.len());
    }
}

#[tokio::test]
async fn open_stream_keeps_connection_and_idle_channel_reconnects() {
    let (address, _shutdown) = start().await;
    let channel = tonic::transport::Endpoint::from_shared(format!("http://{address}"))
        .unwrap()
        .connect_lazy();
    let mut client = HealthClient::new(channel.clone());
    let request = HealthCheckRequest {
        service: String::new(),
    };
    let mut watch = client.watch(request.clone()).await.unwrap().into_inner();
    assert!(watch.message().await.unwrap().is_some());
    assert!(
        timeout(LIMITS.close_after * 3, watch.message())
            .await
            .is_err(),
        "the stream is still open"
    );
    drop(watch);
    for _ in 0..3 {
        client.check(request.clone()).await.unwrap();
        tokio::time::sleep(LIMITS.close_after * 2).await;
    }
}

#[tokio::test]
async fn shutdown_closes_idle_connections_immediately() {
    let (address, shutdown) = start().await;
    let channel = tonic::transport::Endpoint::from_shared(format!("http://{address}"))
        .unwrap()
        .connect_lazy();
    let mut client = HealthClient::new(channel);
    client
        .check(HealthCheckRequest {
            service: String::new(),
        })
        .await
        .unwrap();
    shutdown.cancel();
    let refused = async { while TcpStream::connect(address).await.is_ok() {} };
    timeout(TIMEOUT, refused).await.unwrap();
}

#[test]
fn idle_limits_are_at_most_a_minute() {
    assert!(
        IDLE_LIMITS.goaway_after < IDLE_LIMITS.close_after
            && IDLE_LIMITS.close_after <= Duration::from_secs(60)
    );
}
