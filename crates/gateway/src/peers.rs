//! Connections from the gateway to auth and directory, and their gRPC clients.

use doorward_rpc::{
    Channel, Peer, ServiceToken, auth::v1::auth_client::AuthClient, channel::MAX_MESSAGE_BYTES,
    directory::v1::directory_client::DirectoryClient,
};

/// Connections to the peers. Each HTTP worker has its own, so that a call stays on one thread.
#[derive(Clone)]
pub struct Peers {
    pub(crate) auth: Channel,
    pub(crate) directory: Channel,
}

/// Addresses of the peers, and the service token for them.
#[derive(Clone)]
pub struct PeerSettings {
    pub auth: Peer,
    pub directory: Peer,
    pub token: ServiceToken,
}

impl Peers {
    /// Prepares the connections; each is made when it is first used. Must be called within a tokio
    /// runtime, which then drives the connections.
    ///
    /// # Errors
    /// A URL or the TLS settings are invalid.
    pub fn connect(settings: &PeerSettings) -> Result<Self, tonic::transport::Error> {
        Ok(Self {
            auth: settings.auth.connect(&settings.token)?,
            directory: settings.directory.connect(&settings.token)?,
        })
    }

    pub(crate) fn auth(&self) -> AuthClient<Channel> {
        AuthClient::new(self.auth.clone())
    }

    pub(crate) fn directory(&self) -> DirectoryClient<Channel> {
        DirectoryClient::new(self.directory.clone()).max_decoding_message_size(MAX_MESSAGE_BYTES)
    }
}
