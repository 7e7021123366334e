//! Starts processes, mainly `doorward`, stores their output for failure messages, and kills them
//! when the value is dropped.

use std::{
    ffi::OsStr,
    fs::File,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use doorward_domain::{IdGenerator, RandomIdGenerator};

use crate::wait::eventually;

/// Number of lines of a process's log in a failure message.
const LOG_LINES: usize = 40;

/// Returns the binary under test: `TEST_BINARY`, or the one that was built with the tests.
#[must_use]
pub fn binary() -> PathBuf {
    std::env::var_os("TEST_BINARY").map_or_else(|| built_binary("doorward"), PathBuf::from)
}

/// Returns the binary of this name that was built with the tests.
#[must_use]
pub fn built_binary(package: &str) -> PathBuf {
    let test = std::env::current_exe().expect("the path of this test");
    let built = test
        .parent()
        .and_then(Path::parent)
        .expect("target/<profile>/deps/<test>")
        .join(package);
    assert!(
        built.exists(),
        "{} does not exist: run `cargo build --workspace --bins --examples` first",
        built.display()
    );
    built
}

/// The exit code and output of a process that has ended.
#[derive(Debug)]
pub struct Output {
    /// Exit code, absent if a signal ended the process.
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Output {
    pub fn assert_success(self) -> Self {
        assert_eq!(self.code, Some(0), "{self}");
        self
    }

    /// Asserts that the process failed with this code and wrote a reason to stderr.
    pub fn assert_failure(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{self}");
        assert!(!self.stderr.trim().is_empty(), "nothing on stderr");
        self
    }

    /// Returns the items on stdout, which must contain only JSON: either one list or JSON lines.
    pub fn items(&self) -> Vec<serde_json::Value> {
        let values = serde_json::Deserializer::from_str(&self.stdout).into_iter();
        let values: Vec<_> = values
            .collect::<Result<_, _>>()
            .unwrap_or_else(|error| panic!("stdout is not JSON: {error}\n{self}"));
        match values.as_slice() {
            [serde_json::Value::Array(items)] => items.clone(),
            _ => values,
        }
    }

    /// Returns the only JSON value on stdout.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout)
            .unwrap_or_else(|error| panic!("stdout is not JSON: {error}\n{self}"))
    }
}

impl std::fmt::Display for Output {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "code {:?}\nstdout:\n{}\nstderr:\n{}",
            self.code, self.stdout, self.stderr
        )
    }
}

/// A running process. It is killed when this value is dropped.
pub struct Process {
    child: Child,
    name: String,
    stdout: PathBuf,
    stderr: PathBuf,
}

/// Returns a command that inherits only the variables for finding programs and writing files. The
/// result of a test must not depend on other variables of the shell.
#[must_use]
pub fn clean_command(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    command.env_clear();
    for name in ["PATH", "HOME", "TMPDIR"] {
        if let Some(value) = std::env::var_os(name) {
            command.env(name, value);
        }
    }
    command
}

/// Returns whether this process has the privileges of root.
pub(crate) fn is_root() -> bool {
    Command::new("id")
        .arg("-u")
        .output()
        .is_ok_and(|output| output.stdout == b"0\n")
}

impl Process {
    /// Starts a process with this standard input. Its output is written to files in `directory`.
    #[must_use]
    pub fn spawn(mut command: Command, directory: &Path, stdin: &str) -> Self {
        let id = RandomIdGenerator.new_gid();
        let file = |kind: &str| directory.join(format!("{id}.{kind}"));
        let input = file("stdin");
        let stdout = file("stdout");
        let stderr = file("stderr");
        let create = |path: &PathBuf| Stdio::from(File::create(path).expect("a file for output"));
        std::fs::write(&input, stdin).expect("a file for input");
        command
            .stdin(File::open(input).expect("input"))
            .stdout(create(&stdout))
            .stderr(create(&stderr));
        let words: Vec<_> = command
            .get_args()
            .map(|word| word.to_string_lossy())
            .collect();
        let program = Path::new(command.get_program())
            .file_name()
            .unwrap_or_default()
            .display();
        let name = format!("{program} {}", words.join(" "));
        let child = command
            .spawn()
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        Self {
            child,
            name,
            stdout,
            stderr,
        }
    }

    #[must_use]
    pub fn stdout(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(&self.stdout).unwrap_or_default()).into_owned()
    }

    #[must_use]
    pub fn stderr(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(&self.stderr).unwrap_or_default()).into_owned()
    }

    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().expect("a child").is_none()
    }

    /// Returns the process ID.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Returns the maximum resident memory so far, or `None` if the process has ended.
    #[must_use]
    pub fn peak_bytes(&self) -> Option<u64> {
        self.memory("VmHWM:")
    }

    /// Returns the present resident memory, or `None` if the process has ended.
    #[must_use]
    pub fn resident_bytes(&self) -> Option<u64> {
        self.memory("VmRSS:")
    }

    /// Returns the IDs of the child processes that have not ended.
    #[must_use]
    pub fn children(&self) -> Vec<u32> {
        let parent = format!("PPid:\t{}", self.child.id());
        let is_child = |id: &u32| {
            let status = std::fs::read_to_string(format!("/proc/{id}/status")).unwrap_or_default();
            status.lines().any(|line| line == parent) && !status.contains("State:\tZ")
        };
        let entries = std::fs::read_dir("/proc")
            .expect("/proc")
            .filter_map(Result::ok);
        entries
            .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
            .filter(is_child)
            .collect()
    }

    /// Returns a size from `/proc/<pid>/status` (proc(5)) in bytes.
    fn memory(&self, name: &str) -> Option<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        let kib: u64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
        Some(kib * 1024)
    }

    /// Sends SIGTERM.
    pub fn terminate(&self) {
        self.signal("TERM");
    }

    /// Sends a signal by its name without `SIG`.
    pub fn signal(&self, name: &str) {
        let sent = Command::new("sh")
            .arg("-c")
            .arg(format!("kill -{name} {}", self.child.id()))
            .status();
        assert!(
            sent.expect("sh").success(),
            "{} has ended already",
            self.name
        );
    }

    /// Sends SIGKILL, which leaves the process no time to clean up, and waits for its end.
    pub fn kill(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }

    /// Waits until the process ends without a kill, and fails after `within`.
    pub async fn wait_for_exit(&mut self, within: Duration) -> Output {
        let description = format!("the end of {}", self.name);
        let status = eventually(&description, within, async || {
            self.child.try_wait().expect("a child")
        })
        .await;
        Output {
            code: status.code(),
            stdout: self.stdout(),
            stderr: self.stderr(),
        }
    }

    /// Returns the end of stderr, for failure messages.
    #[must_use]
    pub fn log(&self) -> String {
        let stderr = self.stderr();
        let lines: Vec<&str> = stderr.lines().collect();
        format!(
            "{}\n{}",
            self.name,
            lines[lines.len().saturating_sub(LOG_LINES)..].join("\n")
        )
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            eprintln!("--- {}", self.log());
        }
    }
}
