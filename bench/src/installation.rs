//! A separate installation of Doorward for each measurement: a directory, two databases, and
//! production settings except for the limits of calls that change data.

use std::{fmt, path::Path, process::Command};

use anyhow::{Context, ensure};
use tempfile::TempDir;

use crate::{
    process::{Server, binary, free_address},
    sql::PostgresDatabase,
};

const MASTER_KEY: &str = "ZG9vcndhcmQtYmVuY2g6IGl0cyBtYXN0ZXIga2V5ISE=";

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Backend {
    Sqlite,
    Postgres,
}

impl fmt::Display for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Sqlite => "SQLite",
            Self::Postgres => "PostgreSQL",
        })
    }
}

pub(crate) struct Installation {
    directory: TempDir,
    pub(crate) auth_url: String,
    pub(crate) directory_url: String,
    _databases: Vec<PostgresDatabase>,
}

impl Installation {
    pub(crate) fn new(backend: Backend) -> anyhow::Result<Self> {
        let directory = tempfile::tempdir()?;
        let (auth_url, directory_url, databases) = match backend {
            Backend::Sqlite => {
                let url =
                    |name: &str| format!("sqlite://{}", directory.path().join(name).display());
                (url("auth.db"), url("directory.db"), Vec::new())
            }
            Backend::Postgres => {
                let auth = PostgresDatabase::create()?;
                let directory = PostgresDatabase::create()?;
                (
                    auth.url.clone(),
                    directory.url.clone(),
                    vec![auth, directory],
                )
            }
        };
        Ok(Self {
            directory,
            auth_url,
            directory_url,
            _databases: databases,
        })
    }

    pub(crate) fn path(&self) -> &Path {
        self.directory.path()
    }

    /// Runs an administration command to its end and returns its stdout.
    pub(crate) fn run(&self, words: &[&str]) -> anyhow::Result<String> {
        let output = self.command(words).output().context("can't run doorward")?;
        ensure!(
            output.status.success(),
            "doorward {}: {}",
            words.join(" "),
            String::from_utf8_lossy(&output.stderr)
        );
        Ok(String::from_utf8(output.stdout)?)
    }

    /// Starts all services in one process and waits until they are ready.
    pub(crate) async fn serve(&self) -> anyhow::Result<Server> {
        self.serve_with(&[]).await
    }

    /// Does the same as `serve`, with additional settings.
    pub(crate) async fn serve_with(&self, variables: &[(&str, &str)]) -> anyhow::Result<Server> {
        let address = free_address()?;
        let operations = free_address()?;
        let mut command = self.command(&["serve", "all"]);
        command.envs(variables.iter().copied());
        command
            .env("DOORWARD_LISTEN", address.to_string())
            .env("DOORWARD_OPS_LISTEN", operations.to_string());
        Server::start(command, self.path(), address, operations, "/health/ready").await
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(binary());
        command.args(words).env_clear().envs([
            ("DOORWARD_DATA_DIR", self.path().as_os_str()),
            ("DOORWARD_AUTH_DATABASE_URL", self.auth_url.as_ref()),
            (
                "DOORWARD_DIRECTORY_DATABASE_URL",
                self.directory_url.as_ref(),
            ),
            ("DOORWARD_MASTER_KEY", MASTER_KEY.as_ref()),
            ("DOORWARD_LOG_FORMAT", "json".as_ref()),
            // The write budget would otherwise limit the measured rates.
            ("DOORWARD_WRITE_RATE", "1000000".as_ref()),
            ("DOORWARD_WRITE_BURST", "1000000".as_ref()),
        ]);
        for name in ["PATH", "LD_PRELOAD", "MALLOC_ARENA_MAX"] {
            if let Some(value) = std::env::var_os(name) {
                command.env(name, value);
            }
        }
        command
    }
}
