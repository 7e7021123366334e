//! Settings of the gateway.

use std::net::SocketAddr;

use doorward_domain::ApiVersion;
use doorward_gateway::WriteBudget;
use doorward_media::Location;
use hyper::Uri;
use ipnet::IpNet;

use super::{machine::MachineDefaults, parse, reader::Reader};

#[derive(Debug, Clone)]
pub(crate) struct GatewaySettings {
    pub listen: SocketAddr,
    pub trusted_proxies: Vec<IpNet>,
    /// `*`, or `scheme://host[:port]` in lower case.
    pub cors_origins: Vec<String>,
    /// A valid content of a quoted-string (RFC 9110, section 5.6.4).
    pub realm: String,
    /// URL of the app, without a slash at the end.
    pub app_url: String,
    /// Location of the object store for pictures.
    pub object_store: Location,
    /// Version of the published API that `cc.version` reports.
    pub api_version: ApiVersion,
    pub writes: WriteBudget,
}

const MAX_WRITES: u32 = 1_000_000;

impl GatewaySettings {
    pub(super) fn read(reader: &mut Reader<'_>, machine: &MachineDefaults) -> Option<Self> {
        let listen = reader.value("listen", parse::parse_socket)?;
        Some(Self {
            listen,
            trusted_proxies: reader.value_or(
                "trusted_proxies",
                "",
                parse::parse_list(parse::parse_network),
            )?,
            cors_origins: reader.value_or("cors_origins", "", parse::parse_list(parse_origin))?,
            realm: reader.value("realm", parse_realm)?,
            app_url: reader.value_or("app_url", &format!("http://{listen}"), parse_app_url)?,
            writes: WriteBudget {
                per_second: reader.value("write_rate", parse::parse_number(1..=MAX_WRITES))?,
                burst: reader.value("write_burst", parse::parse_number(1..=MAX_WRITES))?,
            },
            object_store: reader.value_or("object_store", &machine.media(), str::parse)?,
            api_version: reader.value_or(
                "api_version",
                ApiVersion::default().as_str(),
                parse_api_version,
            )?,
        })
    }
}

fn parse_origin(text: &str) -> Result<String, String> {
    let is_origin = |uri: &Uri| {
        let authority = uri
            .authority()
            .filter(|authority| parse::is_host_and_port(authority));
        let written = uri
            .scheme_str()
            .zip(authority)
            .map(|(scheme, authority)| format!("{scheme}://{authority}"));
        written.is_some_and(|written| written.eq_ignore_ascii_case(text))
    };
    if text == "*" || text.parse().is_ok_and(|uri| is_origin(&uri)) {
        return Ok(text.to_ascii_lowercase());
    }
    Err("expected * or origins, such as https://app.example.org (no path, no slash), with commas between them"
        .to_owned())
}

fn parse_realm(text: &str) -> Result<String, String> {
    let fits = |char: char| (char == ' ' || char.is_ascii_graphic()) && char != '"' && char != '\\';
    if !text.is_empty() && text.chars().all(fits) {
        return Ok(text.to_owned());
    }
    Err("expected ASCII text without quotes, backslashes and control characters".to_owned())
}

fn parse_api_version(text: &str) -> Result<ApiVersion, String> {
    text.parse()
        .map_err(|_| "expected YYYY.MM.NNN, such as 2026.11.001".to_owned())
}

fn parse_app_url(text: &str) -> Result<String, String> {
    parse::parse_http_url(text, true)
        .ok_or_else(|| "expected http:// or https://, a host and perhaps a path".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_are_as_browsers_send_them() {
        for (good, written) in [
            ("*", "*"),
            ("https://App.example.org", "https://app.example.org"),
            ("capacitor://localhost", "capacitor://localhost"),
        ] {
            assert_eq!(parse_origin(good).as_deref(), Ok(written));
        }
        assert!(parse_origin("http://localhost:3000").is_ok());
        for bad in [
            "",
            "null",
            "example.org",
            "https://example.org/",
            "https://example.org/x",
            "https://u@example.org",
            "https://x:99999",
            "https://*.example.org/",
        ] {
            assert!(parse_origin(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn realm_fits_in_a_quoted_string() {
        assert!(parse_realm("JWT access to Doorward.").is_ok());
        for bad in ["", "a\"b", "a\\b", "a\r\nSet-Cookie: x", "\u{7f}", "\u{e4}"] {
            assert!(parse_realm(bad).is_err(), "{bad:?}");
        }
    }
}
