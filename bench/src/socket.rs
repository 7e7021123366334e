//! A client of Socket.IO that does as little as it can: one WebSocket, which connects, inits, and then counts what it is told.

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
    /// Connected, and told all up to now.
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

    /// Tells of each event that is told, and when it came, until the connection ends.
    pub(crate) async fn record_events(mut self, told: mpsc::UnboundedSender<Instant>) {
        while let Ok(text) = self.next().await {
            if text.starts_with("42[\"sync\"") && told.send(Instant::now()).is_err() {
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

    /// What isn't a heartbeat.
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
