//! A server that is compared, and its memory.

use std::{path::Path, time::Duration};

use anyhow::ensure;

use crate::{client::Call, process::Server};

pub(super) const USERS: usize = 100;
/// Time between the start of a server and the reading of its memory.
const IDLE: Duration = Duration::from_secs(5);

/// A server that is ready and has its users.
pub(super) struct Competitor {
    /// Name and version.
    pub(super) name: String,
    pub(super) password_hash: &'static str,
    pub(super) server: Server,
    pub(super) idle: Memory,
    pub(super) login: Call,
    /// The first call of a client after its login.
    pub(super) start: Call,
    /// Describes the response to `start`.
    pub(super) start_means: &'static str,
    /// The competitor's files, which are deleted when this value is dropped.
    pub(super) _files: Box<dyn Send>,
}

/// Memory of a process in MiB.
#[derive(Clone, Copy)]
pub(super) struct Memory {
    pub(super) private: f64,
    pub(super) resident: f64,
}

impl Memory {
    pub(super) fn of(server: &Server) -> anyhow::Result<Self> {
        Ok(Self {
            private: server.read_private_mib()?,
            resident: server.resident_mib()?,
        })
    }

    /// Waits until a server has started completely and returns its memory.
    pub(super) async fn when_idle(server: &Server) -> anyhow::Result<Self> {
        tokio::time::sleep(IDLE).await;
        Self::of(server)
    }
}

/// Checks that `scripts/setup.sh bench` has installed a file.
pub(super) fn installed(path: &Path) -> anyhow::Result<()> {
    ensure!(
        path.exists(),
        "no {}: scripts/setup.sh bench installs it",
        path.display()
    );
    Ok(())
}
