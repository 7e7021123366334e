//! HTTP byte by byte, for what a well-behaved client can't send.

use std::time::Duration;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

pub struct Connection {
    stream: TcpStream,
}

impl Connection {
    pub async fn open(address: &str) -> Self {
        Self { stream: TcpStream::connect(address).await.expect("a connection") }
    }

    /// Sends what the server is willing to read; it may have closed already.
    pub async fn send(&mut self, bytes: &[u8]) {
        drop(self.stream.write_all(bytes).await);
    }

    /// What comes until the server closes; fails when it does neither in time.
    pub async fn rest(&mut self, within: Duration) -> String {
        let mut bytes = Vec::new();
        let read = tokio::time::timeout(within, self.stream.read_to_end(&mut bytes)).await;
        assert!(read.is_ok(), "still open after {within:?}, with {:?}", String::from_utf8_lossy(&bytes));
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

/// A `POST` of JSON, head and body apart; the server closes after the answer.
#[must_use]
pub fn post(path: &str, body: &str) -> (String, String) {
    let length = body.len();
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: doorward\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n"
    );
    (head, body.to_owned())
}
