//! Email addresses in the form in which they are sent.

use lettre::Address;

/// Converts the domain of an address to ASCII (RFC 5890), so that only a local part beyond ASCII
/// needs a server with SMTPUTF8 (RFC 6531).
pub(crate) fn with_ascii_domain(address: Address) -> Address {
    if address.domain().is_ascii() {
        return address;
    }
    match url::Host::parse(address.domain()) {
        Ok(url::Host::Domain(domain)) => Address::new(address.user(), domain).unwrap_or(address),
        Ok(url::Host::Ipv4(_) | url::Host::Ipv6(_)) | Err(_) => address,
    }
}
