//! Clients of Socket.IO as others have written them, driven line by line.

use std::{
    io::{BufRead, BufReader, Write},
    path::PathBuf,
    process::{Child, ChildStdin, Command, Stdio},
    time::Duration,
};

use serde_json::{Value, json};
use tokio::sync::mpsc;

use crate::process::clean_command;

/// For a client to say what it is expected to.
const TIMEOUT: Duration = Duration::from_secs(30);

#[derive(Debug, Clone, Copy)]
pub enum Library {
    /// `python-socketio`, asynchronous, over aiohttp.
    Python,
    /// `python-socketio`, over requests and websocket-client.
    PythonThreads,
    /// `socket.io-client`.
    JavaScript,
}

impl Library {
    pub const ALL: [Self; 3] = [Self::Python, Self::PythonThreads, Self::JavaScript];
    /// Those that say what happens in the order in which it happens.
    pub const IN_ORDER: [Self; 2] = [Self::Python, Self::JavaScript];

    fn command(self) -> Command {
        let tests = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
        let tools = tests.join("../.tools");
        let python = || clean_command(tools.join("venv/bin/python"));
        let (mut command, script, modules) = match self {
            Self::Python => (python(), "socketio/drive.py", tools.join("venv")),
            Self::PythonThreads => (python(), "socketio/threads.py", tools.join("venv")),
            Self::JavaScript => (
                clean_command("node"),
                "socketio-js/drive.mjs",
                tools.join("node"),
            ),
        };
        command.arg(tests.join(script)).env("MODULES", modules);
        command
    }
}

/// A running client; it ends with this value.
pub struct SocketClient {
    child: Child,
    stdin: ChildStdin,
    lines: mpsc::UnboundedReceiver<String>,
}

impl SocketClient {
    #[must_use]
    pub fn connect(library: Library, address: &str, transports: &[&str], auth: &Value) -> Self {
        let asked =
            json!({"url": format!("http://{address}"), "transports": transports, "auth": auth});
        let mut command = library.command();
        command
            .arg(asked.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        let mut child = command
            .spawn()
            .expect("a client: `./scripts/setup.sh test` installs it");
        let (stdin, stdout) = (
            child.stdin.take().expect("stdin"),
            child.stdout.take().expect("stdout"),
        );
        let (sender, lines) = mpsc::unbounded_channel();
        std::thread::spawn(move || {
            BufReader::new(stdout)
                .lines()
                .map_while(Result::ok)
                .try_for_each(|line| sender.send(line))
        });
        Self {
            child,
            stdin,
            lines,
        }
    }

    /// What it says next: the name of an event, and what came with it.
    pub async fn next_message(&mut self) -> Value {
        let line = tokio::time::timeout(TIMEOUT, self.lines.recv())
            .await
            .expect("it says nothing");
        serde_json::from_str(&line.expect("it has ended")).expect("JSON")
    }

    /// What it says next, but for a change of transports, which may come at any time.
    pub async fn next_event(&mut self) -> Value {
        let said = self.next_message().await;
        if said[0] == "upgrade" {
            self.next_message().await
        } else {
            said
        }
    }

    pub fn emit(&mut self, words: &Value) {
        writeln!(self.stdin, "{words}").expect("it reads");
    }

    /// The answer to an event, before anything else that it says.
    pub async fn request(&mut self, words: &Value) -> Value {
        self.emit(words);
        let said = self.next_event().await;
        assert_eq!(said[0], "ack", "{said}");
        said[1].clone()
    }
}

impl Drop for SocketClient {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
