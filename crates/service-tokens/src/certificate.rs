//! The names in a client's certificate. That it is signed by the authority, the TLS handshake has verified.

use tonic::transport::server::{TcpConnectInfo, TlsConnectInfo};
use x509_parser::{certificate::X509Certificate, extensions::GeneralName, prelude::FromDer};

/// Whether the certificate of a connection belongs to a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CertificateMatch {
    /// The connection is not encrypted, so there is no certificate.
    NoTls,
    Named,
    NameMismatch,
}

pub(crate) fn match_name(extensions: &http::Extensions, name: &str) -> CertificateMatch {
    let Some(connection) = extensions.get::<TlsConnectInfo<TcpConnectInfo>>() else {
        return CertificateMatch::NoTls;
    };
    let certificates = connection.peer_certs().unwrap_or_default();
    let is_named = certificates
        .first()
        .is_some_and(|certificate| has_name(certificate, name));
    if is_named {
        CertificateMatch::Named
    } else {
        CertificateMatch::NameMismatch
    }
}

/// Returns whether a DNS name of the subject alternative names, or a common name of the subject, is equal to `name`.
fn has_name(der: &[u8], name: &str) -> bool {
    let Ok((_, certificate)) = X509Certificate::from_der(der) else {
        return false;
    };
    // A certificate with several such extensions is malformed, and has no name.
    let Ok(alternative_names) = certificate.subject_alternative_name() else {
        return false;
    };
    let is_dns_name =
        |general: &GeneralName<'_>| matches!(general, GeneralName::DNSName(dns) if *dns == name);
    alternative_names.is_some_and(|names| names.value.general_names.iter().any(is_dns_name))
        || certificate
            .subject()
            .iter_common_name()
            .any(|common| common.as_str().is_ok_and(|common| common == name))
}
