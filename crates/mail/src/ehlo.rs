//! The client name in EHLO: a domain name or an address literal (RFC 5321, sections 2.3.5, 4.1.2
//! and 4.1.3).

use std::net::Ipv4Addr;

use lettre::transport::smtp::extension::ClientId;
use url::{Host, Url};

const MAX_DOMAIN_BYTES: usize = 255;
const MAX_LABEL_BYTES: usize = 63;

/// Returns whether RFC 5321 allows this name.
#[must_use]
pub fn is_ehlo_name(text: &str) -> bool {
    parse(text).is_some()
}

/// Returns the EHLO name for an app with this URL: its host if that is a domain name of at least
/// two labels, which strict servers require, and otherwise an address literal.
#[must_use]
pub fn default_ehlo_name(app_url: &str) -> String {
    let host = Url::parse(app_url)
        .ok()
        .and_then(|url| url.host().map(|host| host.to_owned()));
    let id = match host {
        Some(Host::Domain(domain)) => {
            let domain = domain.strip_suffix('.').unwrap_or(&domain);
            Some(domain)
                .filter(|domain| domain.contains('.') && is_domain(domain))
                .map(|name| ClientId::Domain(name.into()))
        }
        Some(Host::Ipv4(address)) if !address.is_unspecified() => Some(ClientId::Ipv4(address)),
        Some(Host::Ipv6(address)) if !address.is_unspecified() => Some(ClientId::Ipv6(address)),
        Some(Host::Ipv4(_) | Host::Ipv6(_)) | None => None,
    };
    id.unwrap_or(ClientId::Ipv4(Ipv4Addr::LOCALHOST))
        .to_string()
}

pub(crate) fn parse(text: &str) -> Option<ClientId> {
    let Some(literal) = text.strip_prefix('[') else {
        return is_domain(text).then(|| ClientId::Domain(text.to_owned()));
    };
    let literal = literal.strip_suffix(']')?;
    match literal.split_at_checked(5) {
        Some((tag, address)) if tag.eq_ignore_ascii_case("IPv6:") => {
            address.parse().ok().map(ClientId::Ipv6)
        }
        Some(_) | None => literal.parse().ok().map(ClientId::Ipv4),
    }
}

fn is_domain(text: &str) -> bool {
    let is_label = |label: &str| {
        (1..=MAX_LABEL_BYTES).contains(&label.len())
            && label
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    // A name that ends with a number would be an IPv4 address, which needs the literal form.
    let ends_with_number = text
        .rsplit('.')
        .next()
        .is_some_and(|label| label.bytes().all(|byte| byte.is_ascii_digit()));
    text.len() <= MAX_DOMAIN_BYTES && text.split('.').all(is_label) && !ends_with_number
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ehlo_name_is_a_domain_or_address_literal() {
        let longest = format!(
            "{}.{}.{}.{}",
            "a".repeat(63),
            "b".repeat(63),
            "c".repeat(63),
            "d".repeat(63)
        );
        for good in [
            "mail.example.org",
            "MAIL.Example.org",
            "a-b.c3.example",
            "3com.example",
            "localhost",
            "xn--bcher-kva.example",
            "[192.0.2.1]",
            "[IPv6:2001:db8::1]",
            "[ipv6:::1]",
            "[IPv6:::ffff:192.0.2.1]",
            &longest,
        ] {
            assert!(is_ehlo_name(good), "{good}");
        }
        for bad in [
            "",
            ".",
            "mail.example.org.",
            ".example.org",
            "mail..org",
            "my_host.example",
            "-a.example",
            "a-.example",
            "b\u{fc}cher.example",
            "mail example",
            "mail.example\r\nRCPT TO:<x@y.z>",
            "192.0.2.1",
            "1",
            "2001:db8::1",
            "[2001:db8::1]",
            "[IPv6:192.0.2.1]",
            "[300.1.1.1]",
            "[192.0.2.1",
            "192.0.2.1]",
            "[]",
            "[IPv6:]",
            "[mail.example.org]",
            "mail.example.org:25",
            "[\u{fc}\u{fc}\u{fc}]",
            &"a".repeat(64),
            &format!("{longest}.e"),
        ] {
            assert!(!is_ehlo_name(bad), "{bad}");
        }
    }

    #[test]
    fn default_ehlo_name_is_the_host_of_the_app_url() {
        for (app_url, name) in [
            ("https://app.example.org/start", "app.example.org"),
            ("https://App.Example.org:8443", "app.example.org"),
            ("https://app.example.org.", "app.example.org"),
            ("https://b\u{fc}cher.example", "xn--bcher-kva.example"),
            ("http://localhost:8080", "[127.0.0.1]"),
            ("http://gateway:8080", "[127.0.0.1]"),
            ("http://my_host.example", "[127.0.0.1]"),
            ("http://127.0.0.1:8080", "[127.0.0.1]"),
            ("http://0.0.0.0:8080", "[127.0.0.1]"),
            ("http://192.0.2.7", "[192.0.2.7]"),
            ("http://[::]:8080", "[127.0.0.1]"),
            ("http://[2001:db8::1]:8080", "[IPv6:2001:db8::1]"),
        ] {
            assert_eq!(default_ehlo_name(app_url), name, "{app_url}");
            assert!(is_ehlo_name(name), "{name}");
        }
    }
}
