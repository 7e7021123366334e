//! Runs Socket.IO client libraries of others in separate processes. Commands and events are JSON
//! lines on stdin and stdout.

use std::{
    io::{BufRead, BufReader, Write},
    path::PathBuf,
    process::{Child, ChildStdin, Command, Stdio},
    time::Duration,
};

use serde_json::{Value, json};
use tokio::sync::mpsc;

use crate::process::clean_command;

/// Maximum time until a client reports an expected event.
const TIMEOUT: Duration = Duration::from_secs(30);

/// A client library.
#[derive(Debug, Clone, Copy)]
pub enum Library {
    /// The asynchronous client of `python-socketio`, which uses aiohttp.
    Python,
    /// The threaded client of `python-socketio`, which uses requests and websocket-client.
    PythonThreads,
    /// The JavaScript library `socket.io-client`.
    JavaScript,
}

impl Library {
    pub const ALL: [Self; 3] = [Self::Python, Self::PythonThreads, Self::JavaScript];
    /// Libraries that report events in their order.
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

/// A running client. It ends when this value is dropped.
pub struct SocketClient {
    child: Child,
    stdin: ChildStdin,
    lines: mpsc::UnboundedReceiver<String>,
}

impl SocketClient {
    #[must_use]
    pub fn connect(library: Library, address: &str, transports: &[&str], auth: &Value) -> Self {
        let options =
            json!({"url": format!("http://{address}"), "transports": transports, "auth": auth});
        let mut command = library.command();
        command
            .arg(options.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        let mut child = command
            .spawn()
            .expect("a client: `./scripts/setup.sh test` installs it");
        let stdin = child.stdin.take().expect("stdin");
        let stdout = child.stdout.take().expect("stdout");
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

    /// Waits for the next message of the client: a list of the name of an event and its arguments.
    pub async fn next_message(&mut self) -> Value {
        let line = tokio::time::timeout(TIMEOUT, self.lines.recv())
            .await
            .expect("a message in time");
        serde_json::from_str(&line.expect("a running client")).expect("JSON")
    }

    /// Waits for the next message and skips a change of transports, which can happen at any time.
    pub async fn next_event(&mut self) -> Value {
        let message = self.next_message().await;
        if message[0] == "upgrade" {
            self.next_message().await
        } else {
            message
        }
    }

    pub fn emit(&mut self, words: &Value) {
        writeln!(self.stdin, "{words}").expect("a client that reads");
    }

    /// Emits an event and returns the acknowledgement, which must be the next message.
    pub async fn request(&mut self, words: &Value) -> Value {
        self.emit(words);
        let message = self.next_event().await;
        assert_eq!(message[0], "ack", "{message}");
        message[1].clone()
    }
}

impl Drop for SocketClient {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
