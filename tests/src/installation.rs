//! An installation of Doorward: a directory, two databases and settings. Starts the binary with
//! them, as a server or as a command.

use std::{collections::BTreeMap, path::Path, process::Command, time::Duration};

use tempfile::TempDir;

use crate::{
    backend::{Backend, Databases, url_text},
    ports,
    process::{Output, Process, binary, clean_command},
};

/// Password of all users that the tests create.
pub const PASSWORD: &str = "correct horse battery staple 9";
pub const MASTER_KEY: &str = "ZG9vcndhcmQtdGVzdHM6IGl0cyBtYXN0ZXIga2V5ISE=";
pub const SERVICE_TOKEN: &str = "the-service-token-of-the-tests";
/// Setting for tests in which a user writes more than the default write budget allows.
pub const MANY_WRITES: (&str, &str) = ("DOORWARD_WRITE_BURST", "1000000");
/// Maximum duration of a command, or of the shutdown of a server.
pub const COMMAND: Duration = Duration::from_secs(20);

pub struct Installation {
    directory: TempDir,
    pub databases: Databases,
    variables: BTreeMap<String, String>,
}

impl Installation {
    #[must_use]
    pub fn new(backend: Backend) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let databases = Databases::new(backend, directory.path());
        Self::over(databases, directory)
    }

    /// Creates an installation with existing databases. The settings are those of a small server
    /// with fast password hashing and without a throttle of failed logins.
    #[must_use]
    pub fn over(databases: Databases, directory: TempDir) -> Self {
        let data = directory.path().join("data").display().to_string();
        let auth_url = url_text(&databases.auth);
        let directory_url = url_text(&databases.directory);
        let installation = Self {
            directory,
            databases,
            variables: BTreeMap::new(),
        };
        installation.with(&[
            ("DOORWARD_DATA_DIR", &data),
            ("DOORWARD_LISTEN", &ports::free_address()),
            ("DOORWARD_OPS_LISTEN", &ports::free_address()),
            ("DOORWARD_AUTH_DATABASE_URL", &auth_url),
            ("DOORWARD_DIRECTORY_DATABASE_URL", &directory_url),
            ("DOORWARD_DATABASE_POOL_SIZE", "4"),
            ("DOORWARD_MASTER_KEY", MASTER_KEY),
            ("DOORWARD_LOG_FORMAT", "text"),
            // Cheap hashes keep the tests fast. Tests of hashing replace these settings.
            ("DOORWARD_ARGON2_MEMORY_KIB", "256"),
            ("DOORWARD_ARGON2_PASSES", "1"),
            // Many tests log in with wrong passwords, which must not start the throttle.
            ("DOORWARD_LOGIN_FAILURES", "1000000"),
        ])
    }

    /// Returns the random id of a user's invitation to a project. Outside the database, it is only
    /// in the emailed link.
    #[must_use]
    pub fn invitation(&self, project: &str, user: &str) -> Option<String> {
        let sql = format!(
            "SELECT invitation_id AS text FROM memberships WHERE project_gid = '{project}' AND user_gid = '{user}' \
             AND invitation_id IS NOT NULL"
        );
        crate::sql::texts(&self.databases.directory, &sql).pop()
    }

    /// Returns the installation with settings added or replaced.
    #[must_use]
    pub fn with(mut self, variables: &[(&str, &str)]) -> Self {
        self.set(variables);
        self
    }

    /// Adds or replaces settings. Running processes keep theirs.
    pub fn set(&mut self, variables: &[(&str, &str)]) {
        self.variables.extend(
            variables
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned())),
        );
    }

    /// Returns the installation with these settings removed, so that their defaults apply.
    #[must_use]
    pub fn without(mut self, names: &[&str]) -> Self {
        self.variables
            .retain(|name, _| !names.contains(&name.as_str()));
        self
    }

    #[must_use]
    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    /// Returns the value of a setting, which must be set.
    #[must_use]
    pub fn variable(&self, name: &str) -> String {
        self.variables
            .get(name)
            .cloned()
            .unwrap_or_else(|| panic!("{name} is not set"))
    }

    /// Starts `doorward` with these arguments.
    #[must_use]
    pub fn spawn(&self, words: &[&str], variables: &[(&str, &str)]) -> Process {
        self.spawn_with_input(words, variables, "")
    }

    /// Runs a command and waits until it ends.
    pub async fn cli(&self, words: &[&str], stdin: &str) -> Output {
        self.spawn_with_input(words, &[], stdin)
            .wait_for_exit(COMMAND)
            .await
    }

    /// Creates a user with [`PASSWORD`] and `<username>@example.org`, and returns the gid.
    pub async fn create_user(&self, username: &str) -> String {
        let email = format!("{username}@example.org");
        let mut name = username.to_owned();
        name[..1].make_ascii_uppercase();
        let words = [
            "user",
            "create",
            "--username",
            username,
            "--email",
            &email,
            "--name",
            &name,
            "--password-stdin",
        ];
        gid(&self.cli(&words, PASSWORD).await.assert_success())
    }

    /// Creates a project and returns its gid. The owner is a username or a gid.
    pub async fn create_project(&self, owner: &str, name: &str) -> String {
        let option = if is_gid(owner) {
            "--owner-gid"
        } else {
            "--owner"
        };
        gid(&self
            .cli(&["project", "create", option, owner, "--name", name], "")
            .await
            .assert_success())
    }

    /// Adds a member. The user is a username or a gid.
    pub async fn add_member(&self, project: &str, user: &str) {
        let option = if is_gid(user) { "--user-gid" } else { "--user" };
        self.cli(&["member", "add", "--project", project, option, user], "")
            .await
            .assert_success();
    }

    /// Runs a command on one user, such as `deactivate`, which must succeed. The user is a username
    /// or a gid.
    pub async fn change_user(&self, change: &str, user: &str) {
        let named: &[&str] = if is_gid(user) {
            &["--gid", user]
        } else {
            &[user]
        };
        self.cli(&[&["user", change], named].concat(), "")
            .await
            .assert_success();
    }

    /// Starts `doorward` through another program, which receives its path and these words as
    /// arguments.
    #[must_use]
    pub fn spawn_through(&self, wrapper: &[&str], words: &[&str]) -> Process {
        let [program, arguments @ ..] = wrapper else {
            panic!("no program")
        };
        let mut command = self.command(program, &[]);
        command.args(arguments).arg(binary()).args(words);
        Process::spawn(command, self.path(), "")
    }

    /// Starts `doorward` with these arguments, additional settings and this standard input.
    #[must_use]
    pub fn spawn_with_input(
        &self,
        words: &[&str],
        variables: &[(&str, &str)],
        stdin: &str,
    ) -> Process {
        let mut command = self.command(binary(), variables);
        command.args(words);
        Process::spawn(command, self.path(), stdin)
    }

    /// Returns a command with the settings of this installation and no other variables, except
    /// those for logs, backtraces and coverage.
    #[must_use]
    pub fn command(
        &self,
        program: impl AsRef<std::ffi::OsStr>,
        variables: &[(&str, &str)],
    ) -> Command {
        let mut command = clean_command(program);
        command
            .envs(&self.variables)
            .envs(variables.iter().copied())
            .current_dir(self.path());
        for name in ["RUST_LOG", "RUST_BACKTRACE", "LLVM_PROFILE_FILE"] {
            if let Some(value) = std::env::var_os(name) {
                command.env(name, value);
            }
        }
        command
    }
}

fn is_gid(text: &str) -> bool {
    text.parse::<doorward_domain::Gid>().is_ok()
}

/// Returns the gid that a command printed.
#[must_use]
pub fn gid(output: &Output) -> String {
    let json = output.json();
    let gid = json["gid"]
        .as_str()
        .unwrap_or_else(|| panic!("no gid in {json}"));
    assert_eq!(
        gid.parse::<doorward_domain::Gid>()
            .map(|gid| gid.to_string())
            .ok()
            .as_deref(),
        Some(gid)
    );
    gid.to_owned()
}
