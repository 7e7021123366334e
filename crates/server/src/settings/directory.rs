//! Settings of directory.

use std::{net::SocketAddr, time::Duration};

use doorward_storage::DatabaseUrl;

use super::{Machine, parse, reader::Reader, role::Role};

#[derive(Debug, Clone)]
pub(crate) struct DirectorySettings {
    pub listen: Option<SocketAddr>,
    pub database: DatabaseUrl,
    pub feed_retention: Duration,
}

impl DirectorySettings {
    pub(super) fn read(reader: &mut Reader<'_>, role: Role, machine: &Machine) -> Option<Self> {
        let listen = if role.is_whole() {
            reader.optional("directory_listen", parse::socket)
        } else {
            reader.value_or("directory_listen", "127.0.0.1:50052", parse::socket)
        };
        let database = machine.sqlite_url("directory.db");
        Some(Self {
            listen,
            database: reader.value_or("directory_database_url", &database, parse::database_url)?,
            feed_retention: reader.value("feed_retention", parse::duration(Duration::from_secs(1)))?,
        })
    }
}
