//! Who is at the other end, behind the proxies that we trust.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::atomic::Ordering,
};

use actix_web::{HttpRequest, http::header::HeaderMap};
use ipnet::IpNet;

use crate::Gateway;

/// The address of the client: the peer of the connection, unless that is a trusted proxy; then the rightmost address in
/// `X-Forwarded-For` that is none.
pub(crate) fn from_request(request: &HttpRequest, gateway: &Gateway) -> IpAddr {
    from_head(request.peer_addr(), request.headers(), gateway)
}

/// Returns the same for a request that did not come through actix-web.
pub(crate) fn from_head(
    peer: Option<SocketAddr>,
    headers: &HeaderMap,
    gateway: &Gateway,
) -> IpAddr {
    let trusted = &gateway.config.trusted_proxies;
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
        && !gateway.has_warned_about_proxy.swap(true, Ordering::Relaxed)
    {
        tracing::warn!(%peer, "X-Forwarded-For comes from an address that is no trusted proxy: if it is one, set trusted_proxies; \
             without it, the throttle takes all who come through it for one client");
    }
    find(peer, &forwarded, trusted)
}

fn is_trusted(address: IpAddr, trusted: &[IpNet]) -> bool {
    trusted.iter().any(|net| net.contains(&address))
}

fn find(peer: IpAddr, forwarded: &[&str], trusted: &[IpNet]) -> IpAddr {
    let mut client = peer;
    for hop in forwarded.iter().rev() {
        if !is_trusted(client, trusted) {
            break;
        }
        // What a trusted proxy wrote is an address; anything else was not written by one.
        let Some(address) = parse(hop) else { break };
        client = address;
    }
    client
}

/// With or without a port.
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
