//! TLS between the services, in both directions: each side presents a certificate of the same
//! authority.

use std::{fs, path::Path};

use anyhow::Context;
use tonic::transport::{Certificate, ClientTlsConfig, Identity, ServerTlsConfig};

use crate::settings::GrpcTls;

pub(crate) fn server_config(files: &GrpcTls) -> anyhow::Result<ServerTlsConfig> {
    Ok(ServerTlsConfig::new()
        .identity(read_identity(files)?)
        .client_ca_root(read_authority(files)?))
}

pub(crate) fn client_config(files: &GrpcTls) -> anyhow::Result<ClientTlsConfig> {
    Ok(ClientTlsConfig::new()
        .identity(read_identity(files)?)
        .ca_certificate(read_authority(files)?))
}

fn read_authority(files: &GrpcTls) -> anyhow::Result<Certificate> {
    Ok(Certificate::from_pem(read_file(&files.ca)?))
}

fn read_identity(files: &GrpcTls) -> anyhow::Result<Identity> {
    Ok(Identity::from_pem(
        read_file(&files.cert)?,
        read_file(&files.key)?,
    ))
}

fn read_file(path: &Path) -> anyhow::Result<Vec<u8>> {
    fs::read(path).with_context(|| format!("can't read {}", path.display()))
}
