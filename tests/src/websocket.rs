//! Socket.IO over a WebSocket, by hand: for what the usual clients don't do, as not to read, or to ask a thousand times.

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpSocket, TcpStream},
    time::{Instant, timeout, timeout_at},
};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{Message, protocol::Role},
};

/// For the server to say what it is expected to.
const TIMEOUT: Duration = Duration::from_secs(30);
/// Long enough for what would have been said.
const QUIET: Duration = Duration::from_millis(500);
/// Of the system, for what isn't read.
const RECEIVED_BYTES: u32 = 16 * 1024;
const HEAD: &str = " HTTP/1.1\r\nHost: doorward\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";

pub struct WebSocket {
    stream: WebSocketStream<TcpStream>,
    asked: usize,
}

impl WebSocket {
    /// With this token, which must be good.
    pub async fn connect(address: &str, token: &str) -> Self {
        let mut client = Self::open(address).await;
        let opened = client.packet().await.expect("an open packet");
        assert!(opened.starts_with("0{"), "{opened}");
        client.join(token).await;
        client
    }

    /// Once more, over the same connection.
    pub async fn join(&mut self, token: &str) {
        self.send(format!("40{}", json!({"JWT": token}))).await;
        let joined = self.packet().await.expect("a connect packet");
        assert!(joined.starts_with("40{"), "{joined}");
    }

    /// And keeps the connection.
    pub async fn leave(&mut self) {
        self.send("41".to_owned()).await;
    }

    async fn open(address: &str) -> Self {
        Self::open_at(address, "").await
    }

    /// Opens one with more in its query, such as `&sid=...`.
    pub async fn open_at(address: &str, query: &str) -> Self {
        let socket = TcpSocket::new_v4().expect("a socket");
        socket
            .set_recv_buffer_size(RECEIVED_BYTES)
            .expect("a setting");
        let mut stream = socket
            .connect(address.parse().expect("an address"))
            .await
            .expect("a connection");
        let head = format!("GET /sync/io/?EIO=4&transport=websocket{query}{HEAD}");
        stream.write_all(head.as_bytes()).await.expect("it reads");
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await.expect("a head"));
        }
        let head = String::from_utf8_lossy(&head).to_lowercase();
        // Nothing but this: aiohttp takes no other.
        assert!(
            head.starts_with("http/1.1 101 ") && head.contains("\nconnection: upgrade\r"),
            "{head}"
        );
        Self {
            stream: WebSocketStream::from_raw_socket(stream, Role::Client, None).await,
            asked: 0,
        }
    }

    /// Sends a packet of Engine.IO.
    pub async fn send(&mut self, packet: String) {
        drop(self.stream.send(Message::text(packet)).await);
    }

    /// Returns the next packet that is not a ping, or `None` once the connection has ended.
    pub async fn packet(&mut self) -> Option<String> {
        let deadline = Instant::now() + TIMEOUT;
        loop {
            let message = timeout_at(deadline, self.stream.next())
                .await
                .expect("it says nothing");
            match message {
                Some(Ok(Message::Text(text))) if text.as_str() == "2" => {
                    self.send("3".to_owned()).await
                }
                Some(Ok(Message::Text(text))) => return Some(text.as_str().to_owned()),
                Some(Ok(Message::Close(_)) | Err(_)) | None => return None,
                Some(Ok(_)) => {}
            }
        }
    }

    /// What it says next: an event with what came with it, `["ack", number, answer]`, or `["disconnect"]`. None once the
    /// connection has ended.
    pub async fn says(&mut self) -> Option<Value> {
        let packet = self.packet().await?;
        let (kind, rest) = packet.split_at(2);
        let parsed =
            |text: &str| serde_json::from_str::<Value>(text).unwrap_or_else(|_| panic!("{packet}"));
        Some(match kind {
            "41" => json!(["disconnect"]),
            "42" => parsed(rest),
            "43" => {
                let (number, answer) = rest.split_at(rest.find('[').expect("an answer"));
                json!(["ack", parsed(number), parsed(answer)[0]])
            }
            _ => panic!("{packet}"),
        })
    }

    /// Sends an event and doesn't wait for its answer.
    pub async fn emit(&mut self, words: &Value) {
        self.asked += 1;
        self.send(format!("42{}{words}", self.asked)).await;
    }

    /// Says nothing for a while, or is closed.
    pub async fn is_silent(&mut self) {
        if let Ok(Some(message)) = timeout(QUIET, self.stream.next()).await {
            assert!(!matches!(message, Ok(Message::Text(_))), "{message:?}");
        }
    }

    /// The answer to an event, before anything else that it says.
    pub async fn ask(&mut self, words: &Value) -> Value {
        self.emit(words).await;
        let said = self.says().await.expect("an answer");
        assert_eq!(
            (&said[0], &said[1]),
            (&json!("ack"), &json!(self.asked)),
            "{said}"
        );
        said[2].clone()
    }

    /// The rows of events, until there are so many: each later than the one before.
    pub async fn rows(&mut self, count: usize) -> Vec<Value> {
        let mut rows = Vec::new();
        while rows.len() < count {
            let said = self.says().await.expect("more rows");
            assert_eq!(said[0], "sync", "{said}");
            rows.extend(said[1].as_array().expect("a list").iter().cloned());
        }
        let cursors = cursors(&rows);
        assert!(
            cursors.is_sorted_by(|one, other| one < other),
            "{cursors:?}"
        );
        rows
    }
}

#[must_use]
pub fn cursors(rows: &[Value]) -> Vec<i64> {
    rows.iter()
        .map(|row| row["cursor"].as_i64().expect("a cursor"))
        .collect()
}
