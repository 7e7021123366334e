//! An HTTP client that returns responses unchanged: it follows no redirects, does not retry, and
//! opens a connection for each request.

use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue, Method};
use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use serde_json::{Value, json};

use crate::{response::Response, wait::eventually};

/// Maximum time until a response is complete, longer than any limit of the server.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Boundary between the parts of a form.
pub const BOUNDARY: &str = "----doorward-tests-7MA4YWxkTrZu0gW";

/// Returns the body of a form with these files.
#[must_use]
pub fn form(parts: &[(&str, &[u8])]) -> Vec<u8> {
    let mut body = Vec::new();
    for (name, bytes) in parts {
        let head = format!(
            "--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"{name}\"; filename=\"a.bin\"\r\n\
            Content-Type: application/octet-stream\r\n\r\n"
        );
        body.extend(head.as_bytes());
        body.extend(*bytes);
        body.extend(b"\r\n");
    }
    body.extend(format!("--{BOUNDARY}--\r\n").as_bytes());
    body
}

/// A client of one server.
#[derive(Clone)]
pub struct Http {
    address: String,
    client: Client<HttpConnector, Full<Bytes>>,
}

impl Http {
    #[must_use]
    pub fn new(address: &str) -> Self {
        let client = Client::builder(TokioExecutor::new())
            .pool_max_idle_per_host(0)
            .build_http();
        Self {
            address: address.to_owned(),
            client,
        }
    }

    /// Returns the host and port of the server.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }

    pub fn call(&self, method: Method, path: &str) -> Call {
        Call {
            http: self.clone(),
            method,
            path: path.to_owned(),
            headers: HeaderMap::new(),
            body: Bytes::new(),
        }
    }

    pub fn get(&self, path: &str) -> Call {
        self.call(Method::GET, path)
    }

    pub fn post(&self, path: &str) -> Call {
        self.call(Method::POST, path)
    }

    pub fn login_call(&self, username: &str, password: &str) -> Call {
        self.post("/api/login")
            .json(&json!({"username": username, "password": password}))
    }

    pub async fn login(&self, username: &str, password: &str) -> Response {
        self.login_call(username, password).send().await
    }

    /// Logs in to a project with a username and password.
    pub async fn project_login(&self, project: &str, username: &str, password: &str) -> Response {
        let body = json!({"username": username, "password": password});
        self.post(&format!("/api/p/{project}/login"))
            .json(&body)
            .send()
            .await
    }

    /// Logs in to a project with an API key.
    pub async fn auth(&self, project: &str, api_key: &str) -> Response {
        self.post(&format!("/api/p/{project}/auth"))
            .json(&json!({"api_key": api_key}))
            .send()
            .await
    }

    pub async fn project_init(&self, project: &str, token: &str) -> Response {
        self.get(&format!("/api/p/{project}/init"))
            .bearer(token)
            .send()
            .await
    }

    pub async fn init(&self, token: &str) -> Response {
        self.get("/api/init").bearer(token).send().await
    }

    /// Returns the value of a metric of an operations listener: the sum over all labels for a name
    /// such as `doorward_hash_duration_seconds_count`, or one series for a name with labels such as
    /// `...{method="doorward.auth.v1.Auth/RenewToken"}`.
    pub async fn metric(&self, name: &str) -> f64 {
        let answer = self.get("/metrics").send().await;
        assert_eq!(answer.status, 200, "{answer:?}");
        let text = answer.text();
        let lines = text.lines().filter_map(|line| line.rsplit_once(' '));
        let found =
            lines.filter(|(series, _)| series.split('{').next() == Some(name) || *series == name);
        found
            .map(|(_, value)| value.parse::<f64>().expect("a number"))
            .sum()
    }

    /// Returns the status of a request, or `None` if it did not reach the server.
    pub async fn status(&self, path: &str) -> Option<u16> {
        self.get(path)
            .try_send()
            .await
            .ok()
            .map(|answer| answer.status)
    }
}

/// A request that is being built.
#[derive(Clone)]
#[must_use]
pub struct Call {
    http: Http,
    method: Method,
    path: String,
    headers: HeaderMap,
    body: Bytes,
}

impl Call {
    /// Adds a header and keeps others of the same name. The value is sent as UTF-8.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        let name: HeaderName = name.parse().expect("a header name");
        self.headers.append(
            name,
            HeaderValue::from_bytes(value.as_bytes()).expect("a header value"),
        );
        self
    }

    pub fn bearer(self, token: &str) -> Self {
        self.header("authorization", &format!("Bearer {token}"))
    }

    pub fn body(mut self, body: impl Into<Bytes>) -> Self {
        self.body = body.into();
        self
    }

    pub fn json(self, body: &Value) -> Self {
        self.header("content-type", "application/json")
            .body(body.to_string())
    }

    /// Sets the body to a form with one file, in the form that browsers send.
    pub fn file(self, part: &str, bytes: &[u8]) -> Self {
        let media_type = format!("multipart/form-data; boundary={BOUNDARY}");
        self.header("content-type", &media_type)
            .body(form(&[(part, bytes)]))
    }

    pub async fn send(self) -> Response {
        let request = format!("{} {}", self.method, self.path);
        self.try_send()
            .await
            .unwrap_or_else(|error| panic!("{request}: {error}"))
    }

    /// Sends the request until the status is not 503. Of many concurrent requests, a busy machine
    /// rejects some at first.
    pub async fn send_until_served(self) -> Response {
        eventually("an answer", TIMEOUT, async || {
            Some(self.clone().send().await).filter(|answer| answer.status != 503)
        })
        .await
    }

    /// Sends the request once.
    ///
    /// # Errors
    /// A description of the failure if no complete response arrives in time.
    pub async fn try_send(self) -> Result<Response, String> {
        let uri = format!("http://{}{}", self.http.address, self.path);
        let mut request = http::Request::new(Full::new(self.body));
        *request.method_mut() = self.method;
        *request.uri_mut() = uri.parse().expect("a URI");
        *request.headers_mut() = self.headers;
        let exchange = async {
            let response = self
                .http
                .client
                .request(request)
                .await
                .map_err(|error| format!("{error:?}"))?;
            let (parts, body) = response.into_parts();
            let body = body
                .collect()
                .await
                .map_err(|error| format!("{error:?}"))?
                .to_bytes();
            Ok(Response {
                status: parts.status.as_u16(),
                headers: parts.headers,
                body,
            })
        };
        tokio::time::timeout(TIMEOUT, exchange)
            .await
            .map_err(|_| format!("no answer in {TIMEOUT:?}"))?
    }
}
