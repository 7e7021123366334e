//! Settings of the connections between the services.

use std::path::PathBuf;

use secrecy::SecretString;

use crate::settings::{parse, reader::Reader, role::Role};

/// URLs `http(s)://host[:port]` of the peers. None: the service runs in this process.
#[derive(Debug, Clone)]
pub(crate) struct PeerSettings {
    pub auth_url: Option<String>,
    pub directory_url: Option<String>,
}

/// PEM files for TLS in both directions.
#[derive(Debug, Clone)]
pub(crate) struct GrpcTls {
    pub ca: PathBuf,
    pub cert: PathBuf,
    pub key: PathBuf,
}

impl PeerSettings {
    pub(super) fn read(reader: &mut Reader<'_>, role: Role, has_tls: bool) -> Self {
        let scheme = if has_tls { "https" } else { "http" };
        let mut url = |key, port| {
            let default = format!("{scheme}://127.0.0.1:{port}");
            let url = reader.value_or(key, &default, |text| parse_peer_url(text, scheme));
            url.filter(|_| !role.runs_all_services())
        };
        let peers = Self {
            auth_url: url("auth_url", 50051),
            directory_url: url("directory_url", 50052),
        };
        if role.runs_all_services() {
            for key in ["auth_url", "directory_url"] {
                reader.effective.remove(key);
            }
        }
        peers
    }
}

impl GrpcTls {
    /// Reads the three files. All must be set, or none.
    pub(super) fn read(reader: &mut Reader<'_>) -> Option<Self> {
        const KEYS: [&str; 3] = ["grpc_tls_ca", "grpc_tls_cert", "grpc_tls_key"];
        let [ca, cert, key] = KEYS.map(|key| reader.optional(key, parse::parse_path));
        if KEYS.iter().any(|key| reader.is_given(key)) {
            for key in KEYS
                .iter()
                .filter(|key| !reader.given.contains_key(**key))
                .collect::<Vec<_>>()
            {
                reader.add_error::<()>(
                    key,
                    "expected a file: TLS between the services needs CA, certificate and key",
                );
            }
        }
        Some(Self {
            ca: ca?,
            cert: cert?,
            key: key?,
        })
    }
}

/// Parses the URL of a peer. The scheme must match the TLS settings: with `http` they would be
/// ignored silently, and `https` is impossible without them.
fn parse_peer_url(text: &str, scheme: &str) -> Result<String, String> {
    let url =
        parse::parse_http_url(text, false).filter(|url| url.starts_with(&format!("{scheme}://")));
    url.ok_or_else(|| match scheme {
        "https" => "expected https://<host>:<port>, as TLS between the services is set".to_owned(),
        _ => "expected http://<host>:<port>, or also the settings for TLS between the services"
            .to_owned(),
    })
}

/// Parses a service token: visible ASCII, which gRPC metadata can contain, and long enough not to
/// be guessed.
pub(crate) fn service_token(text: &str) -> Result<SecretString, String> {
    if text.len() >= 16 && text.chars().all(|char| char.is_ascii_graphic()) {
        return Ok(text.to_owned().into());
    }
    Err("expected at least 16 characters, all of them visible ASCII".to_owned())
}
