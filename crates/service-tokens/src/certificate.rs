//! Compares a name with those in the client certificate of a connection. The TLS handshake has
//! already verified that the certificate authority signed the certificate.

use tonic::transport::server::{TcpConnectInfo, TlsConnectInfo};
use x509_parser::{certificate::X509Certificate, extensions::GeneralName, prelude::FromDer};

/// Result of the comparison of a client certificate with a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CertificateMatch {
    /// The connection is not encrypted, so there is no certificate.
    NoTls,
    /// The certificate has the name.
    Named,
    /// The certificate does not have the name, or the client sent no certificate.
    NameMismatch,
}

/// Compares a name with those in the certificate of the connection.
pub(crate) fn match_name(extensions: &http::Extensions, name: &str) -> CertificateMatch {
    let Some(connection) = extensions.get::<TlsConnectInfo<TcpConnectInfo>>() else {
        return CertificateMatch::NoTls;
    };
    // The first certificate is that of the client; the others are of authorities.
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

/// Returns whether a DNS name of the subject alternative names, or a common name of the subject, is
/// equal to `name`.
fn has_name(der: &[u8], name: &str) -> bool {
    let Ok((_, certificate)) = X509Certificate::from_der(der) else {
        return false;
    };
    // A certificate with several such extensions is malformed (RFC 5280, section 4.2), and counts
    // as one without a name.
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
