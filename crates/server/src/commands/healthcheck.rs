//! `doorward healthcheck`: calls the operations listener, for Docker Compose and images without
//! curl.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    time::Duration,
};

use anyhow::{Context, bail, ensure};
use axum::body::Bytes;
use http_body_util::{BodyExt, Empty, Limited};
use hyper::{StatusCode, Uri};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};

use crate::cli::Healthcheck;

const LIMIT: Duration = Duration::from_secs(3);
const MAX_BODY_BYTES: usize = 64 * 1024;

pub(crate) async fn run(command: Healthcheck, ops_listen: SocketAddr) -> anyhow::Result<()> {
    let url = command.url.unwrap_or_else(|| ready_url(ops_listen));
    let answer = tokio::time::timeout(LIMIT, get(&url)).await;
    let (status, body) =
        answer.with_context(|| format!("{url}: no answer within {} s", LIMIT.as_secs()))??;
    if status == StatusCode::OK {
        return Ok(());
    }
    bail!("{url} answers {status}: {body}")
}

pub(crate) async fn get(url: &str) -> anyhow::Result<(StatusCode, String)> {
    let uri: Uri = url.parse().with_context(|| format!("{url} is not a URL"))?;
    ensure!(
        uri.scheme_str() == Some("http"),
        "{url} doesn't start with http://"
    );
    let client: Client<HttpConnector, Empty<Bytes>> =
        Client::builder(TokioExecutor::new()).build_http();
    let response = client
        .get(uri)
        .await
        .with_context(|| format!("{url}: no answer"))?;
    let status = response.status();
    let body = Limited::new(response.into_body(), MAX_BODY_BYTES)
        .collect()
        .await
        .map_or_else(|_| Bytes::new(), http_body_util::Collected::to_bytes);
    Ok((status, String::from_utf8_lossy(&body).into_owned()))
}

/// Returns the URL of the readiness check. A listener on all addresses is called on the loopback
/// address.
fn ready_url(ops_listen: SocketAddr) -> String {
    let mut address = ops_listen;
    match address.ip() {
        IpAddr::V4(Ipv4Addr::UNSPECIFIED) => address.set_ip(Ipv4Addr::LOCALHOST.into()),
        IpAddr::V6(Ipv6Addr::UNSPECIFIED) => address.set_ip(Ipv6Addr::LOCALHOST.into()),
        IpAddr::V4(_) | IpAddr::V6(_) => {}
    }
    format!("http://{address}/health/ready")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn healthcheck_of_a_wildcard_listener_uses_loopback() {
        for (listen, url) in [
            ("0.0.0.0:9090", "http://127.0.0.1:9090/health/ready"),
            ("[::]:9090", "http://[::1]:9090/health/ready"),
            ("10.0.0.5:1", "http://10.0.0.5:1/health/ready"),
        ] {
            assert_eq!(ready_url(listen.parse().unwrap()), url);
        }
    }

    #[tokio::test]
    async fn non_http_url_or_closed_port_fails() {
        for (url, why) in [
            ("https://x", "http://"),
            ("x y", "not a URL"),
            ("http://127.0.0.1:1/", "no answer"),
        ] {
            let command = Healthcheck {
                url: Some(url.to_owned()),
            };
            let error = run(command, "127.0.0.1:1".parse().unwrap())
                .await
                .unwrap_err();
            assert!(error.to_string().contains(why), "{error}");
        }
    }
}
