//! A minimal Socket.IO client: one WebSocket, which connects, sends `init`, and then records the
//! events that it receives.

use std::net::SocketAddr;

use anyhow::{Context, bail, ensure};
use futures_util::{SinkExt, StreamExt};
use tokio::{net::TcpStream, sync::mpsc, time::Instant};
use tokio_tungstenite::{
    WebSocketStream, client_async_with_config,
    tungstenite::{Message, protocol::WebSocketConfig},
};

pub(crate) struct Socket {
    stream: WebSocketStream<TcpStream>,
}

impl Socket {
    /// Connects and waits for the response to `init`: all rows after `cursor` are then delivered.
    /// Packets are prefixed by Engine.IO and Socket.IO types: 0 is open, 40 connect, 42 an event
    /// (420 with the acknowledgement id 0), 43 an acknowledgement.
    pub(crate) async fn open(
        address: SocketAddr,
        token: &str,
        cursor: i64,
    ) -> anyhow::Result<Self> {
        let tcp = TcpStream::connect(address).await?;
        tcp.set_nodelay(true)?;
        let config = WebSocketConfig::default()
            .read_buffer_size(1024)
            .write_buffer_size(0);
        let url = format!("ws://{address}/sync/io/?EIO=4&transport=websocket");
        let (stream, _) = client_async_with_config(url, tcp, Some(config)).await?;
        let mut socket = Self { stream };
        socket.expect("0").await?;
        socket
            .send(format!("40{}", serde_json::json!({"JWT": token})))
            .await?;
        socket.expect("40").await?;
        socket
            .send(format!(
                "420{}",
                serde_json::json!(["init", {"cc_cursor": cursor}])
            ))
            .await?;
        let answer = socket.expect("430").await?;
        ensure!(answer.contains("\"success\":true"), "{answer}");
        Ok(socket)
    }

    /// Sends the time of each `sync` event to `received`, until the connection ends.
    pub(crate) async fn record_events(mut self, received: mpsc::UnboundedSender<Instant>) {
        while let Ok(text) = self.next().await {
            if text.starts_with("42[\"sync\"") && received.send(Instant::now()).is_err() {
                return;
            }
        }
    }

    async fn expect(&mut self, prefix: &str) -> anyhow::Result<String> {
        let text = self.next().await?;
        if !text.starts_with(prefix) {
            bail!("{text} instead of {prefix}");
        }
        Ok(text)
    }

    /// Returns the next packet that is not a heartbeat. Heartbeats (2) are answered (3): otherwise
    /// the server would close the connection.
    async fn next(&mut self) -> anyhow::Result<String> {
        loop {
            let message = self.stream.next().await.context("the connection ended")??;
            let text = message.into_text()?.to_string();
            if text != "2" {
                return Ok(text);
            }
            self.send("3".to_owned()).await?;
        }
    }

    async fn send(&mut self, text: String) -> anyhow::Result<()> {
        Ok(self.stream.send(Message::text(text)).await?)
    }
}
