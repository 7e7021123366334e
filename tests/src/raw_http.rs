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
        Self {
            stream: TcpStream::connect(address).await.expect("a connection"),
        }
    }

    /// Sends what the server is willing to read; it may have closed already.
    pub async fn send(&mut self, bytes: &[u8]) {
        drop(self.stream.write_all(bytes).await);
    }

    /// Reads the next response, whose length its head must say: head and body. The connection must stay open.
    pub async fn response(&mut self, within: Duration) -> (String, Vec<u8>) {
        let read = async {
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                head.push(self.stream.read_u8().await.expect("a byte of the head"));
            }
            let head = String::from_utf8(head).expect("ASCII").to_lowercase();
            let length = head
                .lines()
                .find_map(|line| line.strip_prefix("content-length: "))
                .expect("a length");
            let mut body = vec![0; length.parse().expect("a number")];
            self.stream.read_exact(&mut body).await.expect("the body");
            (head, body)
        };
        tokio::time::timeout(within, read)
            .await
            .expect("a response in time")
    }

    /// Reads up to this text.
    pub async fn until(&mut self, end: &str, within: Duration) -> String {
        let read = async {
            let mut bytes = Vec::new();
            while !bytes.ends_with(end.as_bytes()) {
                bytes.push(self.stream.read_u8().await.expect("a byte"));
            }
            String::from_utf8_lossy(&bytes).into_owned()
        };
        tokio::time::timeout(within, read)
            .await
            .expect("the end of it in time")
    }

    /// What comes until the server closes; fails when it does neither in time.
    pub async fn rest(&mut self, within: Duration) -> String {
        let mut bytes = Vec::new();
        let read = tokio::time::timeout(within, self.stream.read_to_end(&mut bytes)).await;
        assert!(
            read.is_ok(),
            "still open after {within:?}, with {:?}",
            String::from_utf8_lossy(&bytes)
        );
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
