//! The settings of a process, after they were read and checked.

use std::{net::SocketAddr, path::PathBuf};

use doorward_storage::DatabaseUrl;
use secrecy::SecretString;

use super::{
    auth::AuthSettings,
    directory::DirectorySettings,
    gateway::GatewaySettings,
    grpc::{GrpcTls, PeerSettings},
    log::LogSettings,
    mail::MailSettings,
    print,
    reader::Effective,
    role::Role,
};

/// Settings of a process.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub role: Role,
    pub gateway: GatewaySettings,
    pub auth: AuthSettings,
    pub directory: DirectorySettings,
    pub peers: PeerSettings,
    pub grpc_tls: Option<GrpcTls>,
    /// The token that was set. [`crate::secret_files::load_service_token`] generates one if
    /// necessary.
    pub service_token: Option<SecretString>,
    pub mail: MailSettings,
    pub log: LogSettings,
    pub data_dir: PathBuf,
    /// Maximum number of connections to each database.
    pub pool_size: u32,
    pub ops_listen: SocketAddr,
    /// Whether to migrate the databases before serving.
    pub migrate: bool,
    /// Warnings, which are logged after the log is started.
    pub warnings: Vec<String>,
    /// Effective text of each setting, for `--print-config`.
    pub(super) effective: Effective,
}

impl Settings {
    /// Returns whether at least one database is an SQLite file.
    pub(crate) fn uses_sqlite(&self) -> bool {
        [&self.auth.database, &self.directory.database]
            .iter()
            .any(|url| matches!(url, DatabaseUrl::Sqlite(_)))
    }

    /// Returns whether both databases are SQLite files.
    pub(crate) fn uses_only_sqlite(&self) -> bool {
        [&self.auth.database, &self.directory.database]
            .iter()
            .all(|url| matches!(url, DatabaseUrl::Sqlite(_)))
    }

    /// Returns the effective settings without secrets, as a file that another process can use.
    pub(crate) fn to_toml(&self) -> String {
        print::to_toml(&self.effective)
    }
}
