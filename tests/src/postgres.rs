//! A private PostgreSQL server that a test can stop, start, replicate, run out of disk space and
//! cut off from power.

use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use doorward_storage::DatabaseUrl;
use tempfile::TempDir;

use crate::{
    namespace::MountNamespace,
    ports,
    power::Power,
    process::{clean_command, is_root},
    sql::execute,
};

/// Variable with the directory of PostgreSQL's programs. `scripts/with-postgres.sh` sets it.
pub const BIN_VARIABLE: &str = "TEST_POSTGRES_BIN";
pub(crate) const PASSWORD: &str = "of-a-throw-away-server";
/// Tablespace on the disk of [`Postgres::start_with_small_disk`].
const SMALL_TABLESPACE: &str = "small";
/// Script that mounts a small disk and starts a program. PostgreSQL refuses to run as root, so the
/// program gets another user ID in a user namespace within the first one.
const WITH_SMALL_DISK: &str = "mount -t tmpfs -o size=40m,mode=0700 tmpfs \"$0\" \
     && exec unshare --user --map-user=1000 --map-group=1000 \"$@\"";
/// The same script for root, which changes to the user `postgres`.
const WITH_SMALL_DISK_AS_ROOT: &str = "mount -t tmpfs -o size=40m,mode=0700 tmpfs \"$0\" && chown postgres \"$0\" \
     && exec setpriv --reuid=postgres --regid=postgres --init-groups \"$@\"";

/// A server with its own directory and port. It is stopped when this value is dropped.
pub struct Postgres {
    directory: TempDir,
    bin: PathBuf,
    pub(crate) port: u16,
    /// The mount namespace of a server with a small disk.
    namespace: Option<MountNamespace>,
    /// The setting `fsync`: `on` only for a server whose power is cut.
    fsync: &'static str,
    /// Additional variables of the server's process.
    variables: Vec<(&'static str, String)>,
}

impl Postgres {
    #[must_use]
    pub fn start() -> Self {
        let postgres = Self::create();
        postgres.restart();
        postgres
    }

    /// Starts a server that syncs its commits, on a disk that can lose its power.
    #[must_use]
    pub fn start_with_power_cuts() -> (Self, Power) {
        let mut postgres = Self::create();
        let power = Power::at(&postgres.data(), postgres.path());
        (postgres.fsync, postgres.variables) = ("on", power.variables().into());
        postgres.restart();
        (postgres, power)
    }

    /// Starts a server with its databases on a small disk, and everything else, such as its log, on
    /// the usual one.
    #[must_use]
    pub fn start_with_small_disk() -> Self {
        let mut postgres = Self::in_new_directory();
        let namespace = MountNamespace::detect();
        postgres.namespace = Some(namespace);
        std::fs::create_dir(postgres.small_disk()).expect("a directory");
        if namespace == MountNamespace::AsRoot {
            postgres.change_owner_to_postgres();
        }
        postgres.init();
        postgres.restart();
        let location = postgres.small_disk().display().to_string();
        let create = format!("CREATE TABLESPACE {SMALL_TABLESPACE} LOCATION '{location}'");
        execute(&postgres.url("postgres"), &create);
        postgres
    }

    /// Returns the path of the small disk for processes outside its mount namespace.
    #[must_use]
    pub fn mount_small_disk(&self) -> PathBuf {
        let pid =
            std::fs::read_to_string(self.data().join("postmaster.pid")).expect("a running server");
        let pid = pid.lines().next().expect("its process ID");
        PathBuf::from(format!("/proc/{pid}/root{}", self.small_disk().display()))
    }

    fn small_disk(&self) -> PathBuf {
        self.path().join(SMALL_TABLESPACE)
    }

    fn create() -> Self {
        let postgres = Self::in_new_directory();
        postgres.change_owner_to_postgres();
        postgres.init();
        postgres
    }

    /// Gives the directory to the user `postgres`, because PostgreSQL refuses to run as root.
    fn change_owner_to_postgres(&self) {
        if is_root() {
            run(Command::new("chown")
                .arg("-R")
                .arg("postgres")
                .arg(self.path()));
        }
    }

    fn init(&self) {
        let password_file = format!("--pwfile={}", self.path().join("password").display());
        let options = [
            "--username=postgres",
            "--auth=scram-sha-256",
            "--encoding=UTF8",
            "--locale=C",
            "--no-sync",
        ];
        run(self
            .program("initdb")
            .arg("--pgdata")
            .arg(self.data())
            .arg(password_file)
            .args(options));
    }

    fn in_new_directory() -> Self {
        let bin = std::env::var_os(BIN_VARIABLE)
            .unwrap_or_else(|| panic!("{BIN_VARIABLE} is not set: run the tests by `make test`"));
        let directory = tempfile::tempdir().expect("a directory");
        std::fs::write(directory.path().join("password"), PASSWORD).expect("a file");
        Self {
            directory,
            bin: bin.into(),
            port: ports::find_free_port(),
            namespace: None,
            fsync: "off",
            variables: Vec::new(),
        }
    }

    /// Starts the server on its port and waits until it accepts connections.
    pub fn restart(&self) {
        let settings = format!(
            "-p {} -k {} -c listen_addresses=127.0.0.1 -c fsync={}",
            self.port,
            self.path().display(),
            self.fsync
        );
        let log = self.path().join("log");
        let mut start = self.pg_ctl();
        start.envs(self.variables.iter().map(|(name, value)| (name, value)));
        let started = start
            .args(["--wait", "--options", &settings, "--log"])
            .arg(log)
            .arg("start");
        let status = started.stdout(Stdio::null()).status().expect("pg_ctl");
        assert!(
            status.success(),
            "PostgreSQL does not start: {}",
            self.log()
        );
    }

    /// Stops the server immediately: statements in progress are aborted and connections closed.
    pub fn stop(&self) {
        run(self
            .pg_ctl()
            .args(["--wait", "--mode", "immediate", "stop"]));
    }

    /// Removes the file with the server's process ID. After a real power cut no process has that
    /// ID, but after a kill the process can still exist as a zombie, and the server would not
    /// start.
    pub fn detach(&self) {
        drop(std::fs::remove_file(self.data().join("postmaster.pid")));
    }

    /// Returns the server's log, which is in English.
    #[must_use]
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(self.path().join("log")).expect("the server's log"))
            .into_owned()
    }

    /// Changes a setting of the whole server, including open sessions.
    pub fn set(&self, name: &str, value: &str) {
        let DatabaseUrl::Postgres(url) = self.url("postgres") else {
            panic!("PostgreSQL")
        };
        // `ALTER SYSTEM` must also work after a test has made all sessions read-only.
        let url = DatabaseUrl::Postgres(format!(
            "{url}?options=-c%20default_transaction_read_only%3Doff"
        ));
        execute(&url, &format!("ALTER SYSTEM SET {name} = {value}"));
        execute(&url, "SELECT pg_reload_conf()");
    }

    /// Starts a server that replicates this one.
    #[must_use]
    pub fn start_standby(&self) -> Self {
        let standby = Self::in_new_directory();
        standby.change_owner_to_postgres();
        let data = standby.data();
        let port = self.port.to_string();
        let mut copy = standby.program("pg_basebackup");
        copy.args([
            "--host=127.0.0.1",
            "--username=postgres",
            "--write-recovery-conf",
            "--checkpoint=fast",
            "--no-sync",
        ]);
        run(copy
            .env("PGPASSWORD", PASSWORD)
            .args(["--port", &port])
            .arg("--pgdata")
            .arg(data));
        standby.restart();
        standby
    }

    /// Makes a standby accept writes.
    pub fn promote(&self) {
        run(self.pg_ctl().args(["--wait", "promote"]));
    }

    /// Returns the URL of a database that is on both servers. Connections use the server that
    /// accepts writes.
    #[must_use]
    pub fn url_with_standby(&self, standby: &Self, database: &str) -> DatabaseUrl {
        let port = self.port;
        let standby_port = standby.port;
        DatabaseUrl::Postgres(format!(
            "postgres://postgres:{PASSWORD}@127.0.0.1:{port},127.0.0.1:{standby_port}/{database}?target_session_attrs=read-write"
        ))
    }

    #[must_use]
    pub fn create_database(&self, name: &str) -> DatabaseUrl {
        let tablespace = if self.namespace.is_some() {
            SMALL_TABLESPACE
        } else {
            "pg_default"
        };
        execute(
            &self.url("postgres"),
            &format!("CREATE DATABASE {name} TABLESPACE {tablespace}"),
        );
        self.url(name)
    }

    #[must_use]
    pub fn url(&self, database: &str) -> DatabaseUrl {
        DatabaseUrl::Postgres(format!(
            "postgres://postgres:{PASSWORD}@127.0.0.1:{}/{database}",
            self.port
        ))
    }

    fn path(&self) -> &Path {
        self.directory.path()
    }

    fn data(&self) -> PathBuf {
        self.path().join("data")
    }

    fn pg_ctl(&self) -> Command {
        let mut command = self.program("pg_ctl");
        command.arg("--pgdata").arg(self.data()).arg("--silent");
        command
    }

    fn program(&self, name: &str) -> Command {
        let path = self.bin.join(name);
        let mut command = if let Some(namespace) = self.namespace {
            let script = match namespace {
                MountNamespace::InUserNamespace => WITH_SMALL_DISK,
                MountNamespace::AsRoot => WITH_SMALL_DISK_AS_ROOT,
            };
            let (program, arguments) = namespace.words().split_first().expect("a program");
            let mut command = clean_command(program);
            command
                .args(arguments)
                .args(["sh", "-c", script])
                .arg(self.small_disk())
                .arg(path);
            command
        } else {
            command_as_postgres_user(&path)
        };
        command.current_dir(self.path());
        command
    }
}

/// Returns a command for a program that refuses to run as root.
pub(crate) fn command_as_postgres_user(path: &Path) -> Command {
    if is_root() {
        let mut command = clean_command("setpriv");
        command
            .args(["--reuid=postgres", "--regid=postgres", "--init-groups"])
            .arg(path);
        command
    } else {
        clean_command(path)
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        drop(
            self.pg_ctl()
                .args(["--mode", "immediate", "stop"])
                .stderr(Stdio::null())
                .status(),
        );
    }
}

pub(crate) fn run(command: &mut Command) {
    let status = command
        .stdout(Stdio::null())
        .status()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(status.success(), "{command:?}: {status}");
}
