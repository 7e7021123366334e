//! PgBouncer, a connection pooler, in front of a private PostgreSQL server.

use std::{
    path::Path,
    process::{Child, Command, Stdio},
};

use doorward_storage::DatabaseUrl;
use tempfile::TempDir;

use crate::{
    ports,
    postgres::{PASSWORD, Postgres, command_as_postgres_user, run},
    process::is_root,
};

const PROGRAM: &str = "/usr/sbin/pgbouncer";

/// A running pooler. It ends when this value is dropped.
pub struct PgBouncer {
    child: Child,
    port: u16,
    _directory: TempDir,
}

impl PgBouncer {
    /// Starts a pooler with this `pool_mode`: `session`, `transaction` or `statement`.
    #[must_use]
    pub fn start(postgres: &Postgres, pool_mode: &str) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let port = ports::find_free_port();
        let server_port = postgres.port;
        let file = directory.path().join("pgbouncer.ini");
        let settings = format!(
            "[databases]\n\
             * = host=127.0.0.1 port={server_port} user=postgres password={PASSWORD}\n\
             [pgbouncer]\n\
             listen_addr = 127.0.0.1\n\
             listen_port = {port}\n\
             unix_socket_dir =\n\
             auth_type = any\n\
             pool_mode = {pool_mode}\n\
             ignore_startup_parameters = extra_float_digits\n"
        );
        std::fs::write(&file, settings).expect("a file");
        if is_root() {
            run(Command::new("chown")
                .arg("-R")
                .arg("postgres")
                .arg(directory.path()));
        }
        assert!(
            Path::new(PROGRAM).exists(),
            "no {PROGRAM}: scripts/setup.sh test installs it"
        );
        let mut command = command_as_postgres_user(Path::new(PROGRAM));
        command
            .arg(&file)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .current_dir(directory.path());
        let child = command
            .spawn()
            .unwrap_or_else(|error| panic!("{PROGRAM}: {error}"));
        Self {
            child,
            port,
            _directory: directory,
        }
    }

    #[must_use]
    pub fn url(&self, database: &str) -> DatabaseUrl {
        DatabaseUrl::Postgres(format!(
            "postgres://postgres@127.0.0.1:{}/{database}",
            self.port
        ))
    }
}

impl Drop for PgBouncer {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
