//! An HTTP connection that sends and receives bytes, for requests that no HTTP client would send.

use std::time::Duration;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// An open TCP connection to a server.
pub struct Connection {
    stream: TcpStream,
}

impl Connection {
    pub async fn open(address: &str) -> Self {
        Self {
            stream: TcpStream::connect(address).await.expect("a connection"),
        }
    }

    /// Sends bytes and ignores errors, because the server can have closed the connection already.
    pub async fn send(&mut self, bytes: &[u8]) {
        drop(self.stream.write_all(bytes).await);
    }

    /// Reads the next response and returns its head, in lower case, and its body. The response must
    /// have a `Content-Length`.
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

    /// Reads up to and including this text.
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
            .expect("the text in time")
    }

    /// Reads until the server closes the connection, and fails if it stays open.
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

/// Returns the head and the body of a `POST` of JSON, after which the server closes the connection.
#[must_use]
pub fn post(path: &str, body: &str) -> (String, String) {
    let length = body.len();
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: doorward\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n"
    );
    (head, body.to_owned())
}
