//! Parses values. Errors name what was expected and never repeat the text, which may be a secret.

use std::{
    fmt::Display,
    net::{IpAddr, SocketAddr},
    ops::RangeInclusive,
    path::PathBuf,
    str::FromStr,
    time::Duration,
};

use doorward_storage::DatabaseUrl;
use hyper::{Uri, http::uri::Authority};
use ipnet::IpNet;

/// Maximum duration. Longer ones are typing errors, and sums of times must not overflow.
const MAX_DURATION: Duration = Duration::from_secs(36_500 * 24 * 3600);

pub(super) fn parse_socket(text: &str) -> Result<SocketAddr, String> {
    text.parse()
        .map_err(|_| "expected an address and a port, such as 127.0.0.1:8080".to_owned())
}

pub(super) fn parse_path(text: &str) -> Result<PathBuf, String> {
    if text.is_empty() {
        Err("expected a path".to_owned())
    } else {
        Ok(text.into())
    }
}

pub(super) fn parse_bool(text: &str) -> Result<bool, String> {
    match text {
        "true" | "1" => Ok(true),
        "false" | "0" => Ok(false),
        _ => Err("expected true or false".to_owned()),
    }
}

pub(super) fn parse_number<T: FromStr + PartialOrd + Display>(
    range: RangeInclusive<T>,
) -> impl Fn(&str) -> Result<T, String> {
    move |text| {
        let number = text.parse().ok().filter(|number| range.contains(number));
        number.ok_or_else(|| {
            format!(
                "expected a number from {} to {}",
                range.start(),
                range.end()
            )
        })
    }
}

/// Returns a parser of durations of at least `least`; zero is accepted only if `least` is zero.
pub(super) fn parse_duration(least: Duration) -> impl Fn(&str) -> Result<Duration, String> {
    move |text| {
        let duration = humantime::parse_duration(text)
            .ok()
            .filter(|duration| (least..=MAX_DURATION).contains(duration));
        duration.ok_or_else(|| {
            let least = humantime::format_duration(least);
            format!("expected a duration of {least} or more, such as 90s, 6m, 1h or 30d")
        })
    }
}

pub(super) fn parse_database_url(text: &str) -> Result<DatabaseUrl, String> {
    text.parse().map_err(|_| {
        "expected sqlite://<path> or postgres://<user>:<password>@<host>/<database>".to_owned()
    })
}

pub(super) fn parse_list<T>(
    parse: impl Fn(&str) -> Result<T, String>,
) -> impl Fn(&str) -> Result<Vec<T>, String> {
    move |text| {
        text.split(',')
            .map(str::trim)
            .filter(|item| !item.is_empty())
            .map(&parse)
            .collect()
    }
}

/// Parses a network. An address stands for the network that contains only itself.
pub(super) fn parse_network(text: &str) -> Result<IpNet, String> {
    let network = text
        .parse::<IpNet>()
        .or_else(|_| text.parse::<IpAddr>().map(IpNet::from));
    network.map(|network| network.trunc()).map_err(|_| {
        "expected addresses or CIDRs, such as 10.0.0.0/8, with commas between them".to_owned()
    })
}

/// Parses `http(s)://host[:port]`, with a path if `path_allowed`. The result has no slash at the
/// end.
pub(super) fn parse_http_url(text: &str, path_allowed: bool) -> Option<String> {
    let uri: Uri = text.parse().ok()?;
    let authority = uri.authority()?;
    let is_http = matches!(uri.scheme_str(), Some("http" | "https"));
    let is_plain = is_host_and_port(authority) && uri.query().is_none() && !text.contains('#');
    (is_http && is_plain && (path_allowed || uri.path() == "/"))
        .then(|| text.trim_end_matches('/').to_owned())
}

/// Returns whether the authority has no user or password, and a valid port if it has one.
pub(super) fn is_host_and_port(authority: &Authority) -> bool {
    let host = authority.host();
    let written = authority
        .port_u16()
        .map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
    !host.is_empty() && written == authority.as_str()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_durations_have_limits() {
        assert_eq!(parse_number(1..=8_u32)("8"), Ok(8));
        for bad in ["0", "9", "-1", "x", "", "1.0", "99999999999"] {
            assert!(parse_number(1..=8_u32)(bad).is_err(), "{bad}");
        }
        let parse = parse_duration(Duration::from_secs(1));
        assert_eq!(parse("30d"), Ok(Duration::from_secs(30 * 24 * 3600)));
        assert_eq!(parse("1h 30m"), Ok(Duration::from_secs(5400)));
        for bad in [
            "0s",
            "999ms",
            "5",
            "1x",
            "-1s",
            "",
            "99999999999years",
            "101years",
        ] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn networks_may_be_addresses() {
        let networks = parse_list(parse_network)(" 10.1.2.3/8, 192.0.2.7,2001:db8::/32 ,").unwrap();
        let networks: Vec<_> = networks.iter().map(ToString::to_string).collect();
        assert_eq!(networks, ["10.0.0.0/8", "192.0.2.7/32", "2001:db8::/32"]);
        for bad in ["10.0.0.0/33", "localhost", "10.0.0.1:80"] {
            assert!(parse_list(parse_network)(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn urls_are_origins_unless_a_path_is_allowed() {
        assert_eq!(
            parse_http_url("https://app.example.org/", false).as_deref(),
            Some("https://app.example.org")
        );
        assert_eq!(
            parse_http_url("https://example.org/app/", true).as_deref(),
            Some("https://example.org/app")
        );
        assert_eq!(
            parse_http_url("http://[::1]:8080", false).as_deref(),
            Some("http://[::1]:8080")
        );
        for bad in [
            "",
            "example.org",
            "ftp://x",
            "http://",
            "http://u:p@x",
            "http://x/y",
            "http://x?y",
            "http://x/#y",
            "http://x:99999",
            "/x",
        ] {
            assert!(parse_http_url(bad, false).is_none(), "{bad}");
        }
    }
}
