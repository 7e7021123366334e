//! TLS between the services, in both directions: each shows a certificate of the same authority.

use std::{fs, path::Path};

use anyhow::Context;
use tonic::transport::{Certificate, ClientTlsConfig, Identity, ServerTlsConfig};

use crate::settings::GrpcTls;

pub(crate) fn server(files: &GrpcTls) -> anyhow::Result<ServerTlsConfig> {
    Ok(ServerTlsConfig::new().identity(identity(files)?).client_ca_root(authority(files)?))
}

pub(crate) fn client(files: &GrpcTls) -> anyhow::Result<ClientTlsConfig> {
    Ok(ClientTlsConfig::new().identity(identity(files)?).ca_certificate(authority(files)?))
}

fn authority(files: &GrpcTls) -> anyhow::Result<Certificate> {
    Ok(Certificate::from_pem(read(&files.ca)?))
}

fn identity(files: &GrpcTls) -> anyhow::Result<Identity> {
    Ok(Identity::from_pem(read(&files.cert)?, read(&files.key)?))
}

fn read(path: &Path) -> anyhow::Result<Vec<u8>> {
    fs::read(path).with_context(|| format!("can't read {}", path.display()))
}
