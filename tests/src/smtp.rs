//! A real mail server on loopback (`tests/smtp/serve.py`), a test's own, and the mails that it has received. How it treats
//! a recipient is said there: `refuse+ann@example.org` is refused.

use std::{
    collections::HashSet,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::Mutex,
    time::Duration,
};

use serde_json::Value;
use tempfile::TempDir;

use crate::{Process, eventually, process::clean_command};

/// How long a mail may take to come.
const TIMEOUT: Duration = Duration::from_secs(20);

#[derive(Debug, Clone)]
pub struct ReceivedMail {
    pub from: String,
    pub to: String,
    pub subject: String,
    pub text: String,
    pub html: String,
    /// Decoded, in their order.
    pub headers: Vec<(String, String)>,
    /// As it came, with CRLF.
    pub raw: String,
    /// Whether it came by TLS.
    pub is_encrypted: bool,
    /// Who had logged in.
    pub user: Option<String>,
    /// The name in EHLO.
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

    /// The value of the header that there is once.
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

    /// The verification code: six characters on a line of their own.
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

/// What the server is like; by default any port, no TLS, no login.
#[derive(Debug, Clone, Default)]
pub struct Options {
    pub port: u16,
    /// Files of a certificate and its key; with it there is STARTTLS.
    pub certificate: Option<(PathBuf, PathBuf)>,
    /// TLS from the first byte on, in place of STARTTLS.
    pub is_wrapped: bool,
    /// User and password without which nothing is accepted.
    pub login: Option<(String, String)>,
    /// It takes no addresses beyond ASCII.
    pub is_ascii_only: bool,
    /// How late `slow+` recipients' mails are acknowledged.
    pub slow: Option<Duration>,
}

pub struct SmtpServer {
    process: Process,
    port: u16,
    options: Options,
    /// The places of the mails that [`mail_to`](Self::mail_to) has answered.
    given: Mutex<HashSet<usize>>,
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
            assert!(process.is_running(), "{}", process.log());
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
            given: Mutex::default(),
            _directory: directory,
        }
    }

    /// For `DOORWARD_SMTP_URL`; with the login, if there is one.
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

    /// All that have come, in their order.
    #[must_use]
    pub fn mails(&self) -> Vec<ReceivedMail> {
        let stdout = self.process.stdout();
        // The last piece is not a whole line yet, or empty.
        let lines = stdout
            .rsplit_once('\n')
            .map_or("", |(whole, _)| whole)
            .lines()
            .skip(1);
        lines
            .map(|line| ReceivedMail::new(&serde_json::from_str(line).expect("JSON")))
            .collect()
    }

    /// The next mail to this address: the first that no earlier call has answered.
    pub async fn mail_to(&self, address: &str) -> ReceivedMail {
        eventually(&format!("a mail to {address}"), TIMEOUT, async || {
            let mut given = self.given.lock().expect("no panic");
            let (place, mail) = self
                .mails()
                .into_iter()
                .enumerate()
                .find(|(place, mail)| mail.to == address && !given.contains(place))?;
            given.insert(place);
            Some(mail)
        })
        .await
    }

    /// How many mails have come to this address.
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
    let has_server = clean_command(&python)
        .args(["-c", "import aiosmtpd"])
        .stderr(Stdio::null())
        .status();
    assert!(
        has_server.is_ok_and(|status| status.success()),
        "no aiosmtpd for {}: `./scripts/setup.sh test` installs it",
        python.display()
    );
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
