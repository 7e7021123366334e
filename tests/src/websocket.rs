//! A small Socket.IO client over a WebSocket, for behaviour that the usual libraries lack: it can
//! stop reading, send a thousand requests at once, or join twice.

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

/// Maximum time until the server sends an expected packet.
const TIMEOUT: Duration = Duration::from_secs(30);
/// Time after which an unexpected packet would have arrived.
const SILENCE: Duration = Duration::from_millis(500);
/// Size of the kernel's receive buffer. It is small, so that the server soon notices a client that
/// does not read.
const RECEIVED_BYTES: u32 = 16 * 1024;
/// The end of the upgrade request (RFC 6455, 4.1), with the example key of the RFC.
const HEAD: &str = " HTTP/1.1\r\nHost: doorward\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";

/// An open connection.
pub struct WebSocket {
    stream: WebSocketStream<TcpStream>,
    /// Id of the last event, by which its acknowledgement is recognized.
    last_ack_id: usize,
}

impl WebSocket {
    /// Connects and joins with this token, which must be valid.
    pub async fn connect(address: &str, token: &str) -> Self {
        let mut client = Self::open(address).await;
        let opened = client.packet().await.expect("an open packet");
        assert!(opened.starts_with("0{"), "{opened}");
        client.join(token).await;
        client
    }

    /// Connects to the Socket.IO namespace. This can be repeated on the same connection after
    /// [`leave`](Self::leave).
    pub async fn join(&mut self, token: &str) {
        self.send(format!("40{}", json!({"JWT": token}))).await;
        let joined = self.packet().await.expect("a connect packet");
        assert!(joined.starts_with("40{"), "{joined}");
    }

    /// Disconnects from the Socket.IO namespace and keeps the WebSocket open.
    pub async fn leave(&mut self) {
        self.send("41".to_owned()).await;
    }

    async fn open(address: &str) -> Self {
        Self::open_at(address, "").await
    }

    /// Opens a WebSocket with more parameters in its query, such as `&sid=...`.
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
        stream
            .write_all(head.as_bytes())
            .await
            .expect("a server that reads");
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await.expect("a head"));
        }
        let head = String::from_utf8_lossy(&head).to_lowercase();
        // The header must have exactly this value, because aiohttp accepts no other.
        assert!(
            head.starts_with("http/1.1 101 ") && head.contains("\nconnection: upgrade\r"),
            "{head}"
        );
        Self {
            stream: WebSocketStream::from_raw_socket(stream, Role::Client, None).await,
            last_ack_id: 0,
        }
    }

    /// Sends an Engine.IO packet and ignores errors, because the server can have closed the
    /// connection.
    pub async fn send(&mut self, packet: String) {
        drop(self.stream.send(Message::text(packet)).await);
    }

    /// Returns the next packet that is not a ping, or `None` once the connection has ended.
    pub async fn packet(&mut self) -> Option<String> {
        let deadline = Instant::now() + TIMEOUT;
        loop {
            let message = timeout_at(deadline, self.stream.next())
                .await
                .expect("a packet in time");
            match message {
                Some(Ok(Message::Text(text))) if text.as_str() == "2" => {
                    self.send("3".to_owned()).await;
                }
                Some(Ok(Message::Text(text))) => return Some(text.as_str().to_owned()),
                Some(Ok(Message::Close(_)) | Err(_)) | None => return None,
                Some(Ok(_)) => {}
            }
        }
    }

    /// Waits for the next message: an event with its arguments, `["ack", id, response]`, or
    /// `["disconnect"]`. Returns `None` once the connection has ended.
    pub async fn says(&mut self) -> Option<Value> {
        let packet = self.packet().await?;
        let (kind, rest) = packet.split_at(2);
        let parsed =
            |text: &str| serde_json::from_str::<Value>(text).unwrap_or_else(|_| panic!("{packet}"));
        // Engine.IO message (4) with a Socket.IO packet: 1 disconnect, 2 event, 3 acknowledgement.
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

    /// Sends an event without waiting for its acknowledgement.
    pub async fn emit(&mut self, words: &Value) {
        self.last_ack_id += 1;
        self.send(format!("42{}{words}", self.last_ack_id)).await;
    }

    /// Asserts that the server sends no text for a while. It can close the connection.
    pub async fn is_silent(&mut self) {
        if let Ok(Some(message)) = timeout(SILENCE, self.stream.next()).await {
            assert!(!matches!(message, Ok(Message::Text(_))), "{message:?}");
        }
    }

    /// Sends an event and returns the response, which must be the next message.
    pub async fn ask(&mut self, words: &Value) -> Value {
        self.emit(words).await;
        let message = self.says().await.expect("an answer");
        assert_eq!(
            (&message[0], &message[1]),
            (&json!("ack"), &json!(self.last_ack_id)),
            "{message}"
        );
        message[2].clone()
    }

    /// Collects at least `count` rows of `sync` events. Their cursors must increase.
    pub async fn rows(&mut self, count: usize) -> Vec<Value> {
        let mut rows = Vec::new();
        while rows.len() < count {
            let message = self.says().await.expect("more rows");
            assert_eq!(message[0], "sync", "{message}");
            rows.extend(message[1].as_array().expect("a list").iter().cloned());
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
