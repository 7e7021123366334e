//! A minimal HTTP client, so that generating load takes little CPU: one connection, kept alive,
//! with one request at a time.

use std::{borrow::Cow, net::SocketAddr};

use anyhow::{Context, ensure};
use http_body_util::{BodyExt, Full};
use hyper::{
    HeaderMap, Request, Response, StatusCode,
    body::{Bytes, Incoming},
    client::conn::http1::{SendRequest, handshake},
    header::{AUTHORIZATION, CONTENT_TYPE, HOST, HeaderName},
};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

/// A request that can be sent many times.
#[derive(Clone)]
pub(crate) struct Call {
    method: &'static str,
    path: Cow<'static, str>,
    headers: Vec<(HeaderName, String)>,
    body: Bytes,
    /// Status of a successful response.
    pub(crate) expected: StatusCode,
}

impl Call {
    pub(crate) fn get(path: impl Into<Cow<'static, str>>) -> Self {
        Self {
            method: "GET",
            path: path.into(),
            headers: Vec::new(),
            body: Bytes::new(),
            expected: StatusCode::OK,
        }
    }

    pub(crate) fn post(path: impl Into<Cow<'static, str>>, body: &serde_json::Value) -> Self {
        Self {
            method: "POST",
            body: body.to_string().into(),
            ..Self::get(path)
        }
    }

    pub(crate) fn header(mut self, name: HeaderName, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    fn bearer(self, token: &str) -> Self {
        self.header(AUTHORIZATION, format!("Bearer {token}"))
    }

    pub(crate) fn login(username: &str, password: &str) -> Self {
        Self::post(
            "/api/login",
            &serde_json::json!({"username": username, "password": password}),
        )
    }

    pub(crate) fn project_login(project: &str, username: &str, password: &str) -> Self {
        let body = serde_json::json!({"username": username, "password": password});
        Self::post(format!("/api/p/{project}/login"), &body)
    }

    pub(crate) fn init(token: &str) -> Self {
        Self::get("/api/init").bearer(token)
    }

    /// A call without a body. It is rejected as a bad request before the body is read.
    pub(crate) fn refused(path: &'static str, token: &str) -> Self {
        Self {
            method: "POST",
            expected: StatusCode::BAD_REQUEST,
            ..Self::get(path)
        }
        .bearer(token)
    }

    pub(crate) fn post_as(path: &'static str, token: &str, body: &serde_json::Value) -> Self {
        Self::post(path, body).bearer(token)
    }

    fn request(&self) -> anyhow::Result<Request<Full<Bytes>>> {
        let mut request = Request::builder()
            .method(self.method)
            .uri(self.path.as_ref())
            .header(HOST, "bench");
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        if !self.body.is_empty() {
            request = request.header(CONTENT_TYPE, "application/json");
        }
        Ok(request.body(Full::new(self.body.clone()))?)
    }
}

pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

pub(crate) struct Connection {
    address: SocketAddr,
    sender: SendRequest<Full<Bytes>>,
}

impl Connection {
    pub(crate) async fn open(address: SocketAddr) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let (sender, connection) = handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        Ok(Self { address, sender })
    }

    /// Sends a call, reads the body of the response and discards it.
    pub(crate) async fn send(&mut self, call: &Call) -> anyhow::Result<StatusCode> {
        let mut response = self.respond(call).await?;
        while let Some(frame) = response.frame().await {
            frame?;
        }
        Ok(response.status())
    }

    pub(crate) async fn ask(&mut self, call: &Call) -> anyhow::Result<Answer> {
        let (head, body) = self.respond(call).await?.into_parts();
        Ok(Answer {
            status: head.status,
            headers: head.headers,
            body: body.collect().await?.to_bytes().into(),
        })
    }

    /// Sends a call and returns the response before its body is read. Connects again if the server
    /// has closed the connection, as it does after a long idle time, for example while the
    /// benchmark waits for a busy machine.
    async fn respond(&mut self, call: &Call) -> anyhow::Result<Response<Incoming>> {
        if self.sender.ready().await.is_err() {
            *self = Self::open(self.address).await?;
            self.sender.ready().await?;
        }
        Ok(self.sender.send_request(call.request()?).await?)
    }
}

impl Answer {
    /// Parses the body as JSON. Fails unless the status is a success.
    pub(crate) fn json(&self) -> anyhow::Result<serde_json::Value> {
        ensure!(
            self.status.is_success(),
            "{}: {}",
            self.status,
            String::from_utf8_lossy(&self.body)
        );
        Ok(serde_json::from_slice(&self.body)?)
    }
}

/// Logs a user in and returns the token.
pub(crate) async fn log_in(
    address: SocketAddr,
    username: &str,
    password: &str,
) -> anyhow::Result<String> {
    let answer = Connection::open(address)
        .await?
        .ask(&Call::login(username, password))
        .await?;
    ensure!(
        answer.status == StatusCode::OK,
        "{}",
        String::from_utf8_lossy(&answer.body)
    );
    let token = answer
        .headers
        .get(AUTHORIZATION)
        .context("a login without a token")?;
    Ok(token.to_str()?.to_owned())
}

#[cfg(test)]
mod tests {
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::TcpListener,
    };

    use super::*;

    /// Responds to one request on each connection and closes it.
    async fn serve(listener: TcpListener) -> std::io::Result<()> {
        loop {
            let (mut stream, _) = listener.accept().await?;
            let mut head = [0; 1024];
            if stream.read(&mut head).await? == 0 {
                continue;
            }
            stream
                .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
                .await?;
        }
    }

    #[tokio::test]
    async fn connection_that_the_server_closed_is_opened_again() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(serve(listener));
        let mut connection = Connection::open(address).await.unwrap();
        for _ in 0..3 {
            let answer = connection.ask(&Call::get("/")).await.unwrap();
            assert_eq!(answer.body, b"ok");
            // The end of the connection arrives after the response.
            while !connection.sender.is_closed() {
                tokio::task::yield_now().await;
            }
        }
    }
}
