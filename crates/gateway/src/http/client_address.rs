//! Finds the address of the client of a request, behind the trusted proxies (`trusted_proxies`).
//!
//! A client can send any `X-Forwarded-For`, and each proxy appends the address that it was called
//! from. So only the entries that trusted proxies appended are reliable: the list is read from the
//! right, and reading stops at the first address that is not a trusted proxy.
//!
//! Example: `trusted_proxies` is `10.0.0.0/8`, and a request has `X-Forwarded-For: 192.0.2.66,
//! 203.0.113.9, 10.0.0.7`.
//!
//! 1. The connection comes from 10.0.0.5, a trusted proxy. Read the last entry, 10.0.0.7.
//! 2. 10.0.0.7 is a trusted proxy too. Read the entry before it, 203.0.113.9.
//! 3. 203.0.113.9 is not a trusted proxy: it is the client. The client itself sent 192.0.2.66,
//!    which is not read.
//!
//! The same header on a connection from 198.51.100.1 is ignored, because that is not a trusted
//! proxy: the client is 198.51.100.1, and a warning is logged once.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::atomic::{AtomicBool, Ordering},
};

use actix_web::{HttpRequest, http::header::HeaderMap};
use ipnet::IpNet;

/// Proxies whose `X-Forwarded-For` is trusted.
pub(crate) struct TrustedProxies {
    networks: Vec<IpNet>,
    /// Whether the warning about a proxy that is not trusted has been logged. It is logged once.
    has_warned: AtomicBool,
}

impl TrustedProxies {
    pub(crate) const fn new(networks: Vec<IpNet>) -> Self {
        Self {
            networks,
            has_warned: AtomicBool::new(false),
        }
    }

    /// Returns the address of the client: the peer of the connection, unless that is a trusted
    /// proxy; then the rightmost address in `X-Forwarded-For` that is not a trusted proxy.
    pub(crate) fn find_client(&self, request: &HttpRequest) -> IpAddr {
        self.find_client_of_head(request.peer_addr(), request.headers())
    }

    /// Returns the same for a request head that did not pass through actix-web.
    pub(crate) fn find_client_of_head(
        &self,
        peer: Option<SocketAddr>,
        headers: &HeaderMap,
    ) -> IpAddr {
        let trusted = &self.networks;
        let peer = peer
            .map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |peer| peer.ip())
            .to_canonical();
        let headers = headers
            .get_all("x-forwarded-for")
            .filter_map(|value| value.to_str().ok());
        let forwarded: Vec<&str> = headers
            .flat_map(|value| value.split(','))
            .map(str::trim)
            .collect();
        if !forwarded.is_empty()
            && !is_trusted(peer, trusted)
            && !self.has_warned.swap(true, Ordering::Relaxed)
        {
            tracing::warn!(
                %peer,
                "ignored X-Forwarded-For from an address that is not a trusted proxy; if it is \
                 your proxy, add it to trusted_proxies, otherwise the throttle counts all clients \
                 behind it as one"
            );
        }
        find(peer, &forwarded, trusted)
    }
}

fn is_trusted(address: IpAddr, trusted: &[IpNet]) -> bool {
    trusted.iter().any(|net| net.contains(&address))
}

/// Reads the entries from the right, as long as the address so far is a trusted proxy.
fn find(peer: IpAddr, forwarded: &[&str], trusted: &[IpNet]) -> IpAddr {
    let mut client = peer;
    for hop in forwarded.iter().rev() {
        if !is_trusted(client, trusted) {
            break;
        }
        // A trusted proxy appends only addresses, so the client sent this entry. The last trusted
        // proxy is the best known address.
        let Some(address) = parse(hop) else { break };
        client = address;
    }
    client
}

/// Parses an address, with or without a port. IPv6 addresses that stand for IPv4 ones are
/// converted, so that a client has one address.
fn parse(hop: &str) -> Option<IpAddr> {
    let with_port = || {
        hop.parse::<std::net::SocketAddr>()
            .ok()
            .map(|address| address.ip())
    };
    let bracketed = || hop.strip_prefix('[')?.strip_suffix(']')?.parse().ok();
    hop.parse()
        .ok()
        .or_else(with_port)
        .or_else(bracketed)
        .map(|address: IpAddr| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(peer: &str, forwarded: &[&str]) -> String {
        let trusted: Vec<IpNet> = ["10.0.0.0/8", "::1/128"]
            .iter()
            .map(|net| net.parse().unwrap())
            .collect();
        find(peer.parse().unwrap(), forwarded, &trusted).to_string()
    }

    #[test]
    fn forwarded_addresses_are_read_from_trusted_proxies_only() {
        assert_eq!(client("192.0.2.1", &["203.0.113.9"]), "192.0.2.1");
        assert_eq!(client("10.0.0.1", &["203.0.113.9"]), "203.0.113.9");
        assert_eq!(
            client("10.0.0.1", &["198.51.100.7", "203.0.113.9", "10.2.3.4"]),
            "203.0.113.9"
        );
        assert_eq!(client("10.0.0.1", &["203.0.113.9:4711"]), "203.0.113.9");
        assert_eq!(client("::1", &["[2001:db8::1]"]), "2001:db8::1");
        assert_eq!(client("10.0.0.1", &["203.0.113.9", "garbage"]), "10.0.0.1");
        assert_eq!(client("10.0.0.1", &[]), "10.0.0.1");
        assert_eq!(client("10.0.0.1", &["10.0.0.2"]), "10.0.0.2");
    }
}
