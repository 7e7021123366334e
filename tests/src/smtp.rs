//! A private mail server on loopback (`tests/smtp/serve.py`) and the mails that it has received.
//! The prefix of a recipient determines how the server treats it (listed in that file):
//! `refuse+ann@example.org`, for example, is rejected.

use std::{
    collections::HashSet,
    path::{Path, PathBuf},
    process::Command,
    sync::Mutex,
    time::Duration,
};

use serde_json::Value;
use tempfile::TempDir;

use crate::{
    process::{Process, clean_command},
    wait::eventually,
};

/// Maximum time until a mail has arrived.
const TIMEOUT: Duration = Duration::from_secs(20);

/// A mail that the server has accepted.
#[derive(Debug, Clone)]
pub struct ReceivedMail {
    pub from: String,
    pub to: String,
    pub subject: String,
    pub text: String,
    pub html: String,
    /// Decoded headers, in their order.
    pub headers: Vec<(String, String)>,
    /// The unchanged text of the mail, with CRLF.
    pub raw: String,
    /// True if the mail was sent over TLS.
    pub is_encrypted: bool,
    /// The SMTP user, if the client had logged in.
    pub user: Option<String>,
    /// The client's name in EHLO.
    pub hello: String,
}

impl ReceivedMail {
    fn new(line: &Value) -> Self {
        let text = |name: &str| {
            line[name]
                .as_str()
                .unwrap_or_else(|| panic!("no {name}: {line}"))
                .to_owned()
        };
        let [to] = line["to"].as_array().expect("recipients").as_slice() else {
            panic!("not one recipient: {line}")
        };
        let header = |pair: &Value| {
            (
                pair[0].as_str().expect("a name").into(),
                pair[1].as_str().expect("a value").into(),
            )
        };
        Self {
            from: text("from"),
            to: to.as_str().expect("an address").to_owned(),
            subject: text("subject"),
            text: text("text"),
            html: text("html"),
            headers: line["headers"]
                .as_array()
                .expect("headers")
                .iter()
                .map(header)
                .collect(),
            raw: text("raw"),
            is_encrypted: line["tls"].as_bool().expect("whether there was TLS"),
            user: line["user"].as_str().map(str::to_owned),
            hello: text("hello"),
        }
    }

    /// Returns the value of a header that must occur exactly once.
    #[must_use]
    pub fn header(&self, name: &str) -> &str {
        let mut values = self
            .headers
            .iter()
            .filter(|(other, _)| other.eq_ignore_ascii_case(name));
        let (Some((_, value)), None) = (values.next(), values.next()) else {
            panic!("not one {name}: {self:?}")
        };
        value
    }

    /// Returns the verification code: six characters on a separate line.
    #[must_use]
    pub fn code(&self) -> String {
        let is_code = |line: &&str| {
            line.len() == 6
                && line
                    .bytes()
                    .all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit())
        };
        self.text
            .lines()
            .find(is_code)
            .unwrap_or_else(|| panic!("no code in {:?}", self.text))
            .to_owned()
    }
}

/// Options of the server. The default is any port, no TLS and no login.
#[derive(Debug, Clone, Default)]
pub struct Options {
    pub port: u16,
    /// Files of a certificate and its key, which enable STARTTLS.
    pub certificate: Option<(PathBuf, PathBuf)>,
    /// True for TLS from the first byte on instead of STARTTLS.
    pub is_wrapped: bool,
    /// User and password that a client must send.
    pub login: Option<(String, String)>,
    /// True if the server rejects addresses that are not ASCII.
    pub is_ascii_only: bool,
    /// Delay before mails to `slow+` recipients are acknowledged.
    pub slow: Option<Duration>,
}

/// A running mail server. It ends when this value is dropped.
pub struct SmtpServer {
    process: Process,
    port: u16,
    options: Options,
    /// Indexes of the mails that [`mail_to`](Self::mail_to) has returned.
    returned: Mutex<HashSet<usize>>,
    _directory: TempDir,
}

impl SmtpServer {
    pub async fn start() -> Self {
        Self::start_with(Options::default()).await
    }

    pub async fn start_with(options: Options) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let mut process = Process::spawn(command(&options), directory.path(), "");
        let port = eventually("the port of the mail server", TIMEOUT, async || {
            assert!(
                process.is_running(),
                "`./scripts/setup.sh test` installs the mail server: {}",
                process.log()
            );
            let stdout = process.stdout();
            let (line, _) = stdout.split_once('\n')?;
            let line: Value = serde_json::from_str(line).expect("JSON");
            line["port"]
                .as_u64()
                .and_then(|port| u16::try_from(port).ok())
        })
        .await;
        Self {
            process,
            port,
            options,
            returned: Mutex::default(),
            _directory: directory,
        }
    }

    /// Returns the value of `DOORWARD_SMTP_URL`, with the login if one is required.
    #[must_use]
    pub fn url(&self) -> String {
        let scheme = if self.options.is_wrapped {
            "smtps"
        } else {
            "smtp"
        };
        let login = self
            .options
            .login
            .as_ref()
            .map(|(user, password)| format!("{user}:{password}@"));
        format!(
            "{scheme}://{}localhost:{}",
            login.unwrap_or_default(),
            self.port
        )
    }

    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Returns all received mails, in their order.
    #[must_use]
    pub fn mails(&self) -> Vec<ReceivedMail> {
        let stdout = self.process.stdout();
        // The part after the last line break is empty or an incomplete line.
        let lines = stdout
            .rsplit_once('\n')
            .map_or("", |(whole, _)| whole)
            .lines()
            .skip(1);
        lines
            .map(|line| ReceivedMail::new(&serde_json::from_str(line).expect("JSON")))
            .collect()
    }

    /// Waits for the next mail to this address and returns it. Each mail is returned once.
    pub async fn mail_to(&self, address: &str) -> ReceivedMail {
        eventually(&format!("a mail to {address}"), TIMEOUT, async || {
            let mut returned = self.returned.lock().expect("no panic");
            let (index, mail) = self
                .mails()
                .into_iter()
                .enumerate()
                .find(|(index, mail)| mail.to == address && !returned.contains(index))?;
            returned.insert(index);
            Some(mail)
        })
        .await
    }

    /// Counts the mails that were received for this address.
    #[must_use]
    pub fn count_to(&self, address: &str) -> usize {
        self.mails()
            .iter()
            .filter(|mail| mail.to == address)
            .count()
    }
}

fn command(options: &Options) -> Command {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    let python = tests.join("../.tools/venv/bin/python");
    let mut command = clean_command(python);
    command
        .arg(tests.join("smtp/serve.py"))
        .args(["--port", &options.port.to_string()]);
    if let Some((certificate, key)) = &options.certificate {
        command
            .arg("--certificate")
            .arg(certificate)
            .arg("--key")
            .arg(key);
    }
    if options.is_wrapped {
        command.arg("--wrapped");
    }
    if options.is_ascii_only {
        command.arg("--ascii-only");
    }
    if let Some((user, password)) = &options.login {
        command.args(["--login", &format!("{user}:{password}")]);
    }
    if let Some(slow) = options.slow {
        command.args(["--slow", &slow.as_secs_f64().to_string()]);
    }
    command
}
