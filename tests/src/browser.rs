//! Drives headless Chromium with its own WebDriver server (W3C WebDriver). It knows pages only by
//! XPath expressions.

use std::{
    io::{Read, Write},
    net::TcpStream,
    path::Path,
    time::Duration,
};

use serde_json::{Value, json};

use crate::{
    http::Http,
    ports,
    process::{Process, clean_command},
    wait::eventually,
};

/// Maximum time until a browser has started, also on a busy machine.
const START_TIMEOUT: Duration = Duration::from_secs(30);
/// Maximum time until a page shows the expected element.
const PAGE_TIMEOUT: Duration = Duration::from_secs(20);
/// Name of the only member of a WebDriver element reference (section 12.2).
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

/// A running browser. It ends when this value is dropped.
pub struct Browser {
    session: String,
    http: Http,
    _driver: Process,
}

/// A tab of a browser.
pub struct Tab<'a> {
    browser: &'a Browser,
    handle: String,
}

impl Browser {
    /// Starts a browser that stores its files in `directory`.
    pub async fn start(directory: &Path) -> Self {
        let address = ports::free_address();
        let (_, port) = address.split_once(':').expect("a port");
        let mut command = clean_command("chromedriver");
        command.arg(format!("--port={port}")).env("HOME", directory);
        let mut driver = Process::spawn(command, directory, "");
        let http = Http::new(&address);
        eventually(
            "chromedriver: `./scripts/setup.sh test` installs it",
            START_TIMEOUT,
            async || {
                assert!(driver.is_running(), "chromedriver exited: {}", driver.log());
                (http.status("/status").await == Some(200)).then_some(())
            },
        )
        .await;
        // The tests can run as root and in containers, where Chromium's sandbox does not work.
        let arguments = [
            "--headless=new",
            "--no-sandbox",
            "--disable-dev-shm-usage",
            "--no-proxy-server",
        ];
        let capabilities = json!({"alwaysMatch": {
            "browserName": "chrome",
            "goog:chromeOptions": {"args": arguments},
            "goog:loggingPrefs": {"browser": "ALL"},
        }});
        let created = command_of(&http, "/session", &json!({"capabilities": capabilities})).await;
        let created = created.unwrap_or_else(|error| panic!("the browser did not start: {error}"));
        let session = format!("/session/{}", created["sessionId"].as_str().expect("an id"));
        Self {
            session,
            http,
            _driver: driver,
        }
    }

    /// Opens a page in a tab of its own.
    pub async fn open(&self, url: &str) -> Tab<'_> {
        let created = self.post("/window/new", &json!({"type": "tab"})).await;
        let tab = Tab {
            browser: self,
            handle: created["handle"].as_str().expect("a handle").to_owned(),
        };
        tab.post("/url", &json!({"url": url}))
            .await
            .expect("a page");
        tab
    }

    /// Returns the console messages of all tabs since the last call.
    pub async fn console(&self) -> Vec<String> {
        let entries = self.post("/se/log", &json!({"type": "browser"})).await;
        entries
            .as_array()
            .expect("a list")
            .iter()
            .map(|entry| entry["message"].to_string())
            .collect()
    }

    async fn post(&self, path: &str, body: &Value) -> Value {
        self.try_post(path, body)
            .await
            .unwrap_or_else(|error| panic!("{path} {body}: {error}"))
    }

    async fn try_post(&self, path: &str, body: &Value) -> Result<Value, String> {
        command_of(&self.http, &format!("{}{path}", self.session), body).await
    }
}

impl Drop for Browser {
    /// Ends the session, because Chromium would otherwise outlive its driver, also after a failed
    /// test.
    fn drop(&mut self) {
        let Ok(mut driver) = TcpStream::connect(self.http.address()) else {
            return;
        };
        drop(driver.set_read_timeout(Some(START_TIMEOUT)));
        let end = format!(
            "DELETE {} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n",
            self.session,
            self.http.address()
        );
        // The driver responds when the browser has ended.
        if driver.write_all(end.as_bytes()).is_ok() {
            drop(driver.read(&mut [0]));
        }
    }
}

impl Tab<'_> {
    /// Clicks a visible element.
    pub async fn click(&self, xpath: &str) {
        self.command(xpath, "click", &json!({})).await;
    }

    /// Replaces the text of an input field.
    pub async fn fill(&self, xpath: &str, text: &str) {
        self.command(xpath, "clear", &json!({})).await;
        self.command(xpath, "value", &json!({"text": text})).await;
    }

    /// Waits until a matching element is visible.
    pub async fn assert_visible(&self, xpath: &str) {
        self.assert_visible_within(PAGE_TIMEOUT, xpath).await;
    }

    pub async fn assert_visible_within(&self, time: Duration, xpath: &str) {
        eventually(xpath, time, async || {
            (self.visible(xpath).await > 0).then_some(())
        })
        .await;
    }

    /// Waits until no matching element is visible.
    pub async fn assert_hidden(&self, xpath: &str) {
        eventually(&format!("no {xpath}"), PAGE_TIMEOUT, async || {
            (self.visible(xpath).await == 0).then_some(())
        })
        .await;
    }

    /// Runs a script and returns its result.
    pub async fn run(&self, script: &str, arguments: &Value) -> Value {
        let answer = self
            .post(
                "/execute/sync",
                &json!({"script": script, "args": arguments}),
            )
            .await;
        answer.unwrap_or_else(|error| panic!("{script}: {error}"))
    }

    async fn visible(&self, xpath: &str) -> u64 {
        let script = "const found = document.evaluate(arguments[0], document, null, 7, null);
            let count = 0;
            for (let i = 0; i < found.snapshotLength; i++) count += found.snapshotItem(i).checkVisibility() ? 1 : 0;
            return count;";
        self.run(script, &json!([xpath]))
            .await
            .as_u64()
            .expect("a number")
    }

    /// Repeats a command on an element until it succeeds. An element that is not there yet or is
    /// covered by another one is not an error until the time is over.
    async fn command(&self, xpath: &str, verb: &str, body: &Value) {
        eventually(&format!("{verb} {xpath}"), PAGE_TIMEOUT, async || {
            let found = self
                .post("/element", &json!({"using": "xpath", "value": xpath}))
                .await
                .ok()?;
            let element = found[ELEMENT].as_str()?;
            self.post(&format!("/element/{element}/{verb}"), body)
                .await
                .ok()
                .map(drop)
        })
        .await;
    }

    async fn post(&self, path: &str, body: &Value) -> Result<Value, String> {
        self.browser
            .post("/window", &json!({"handle": self.handle}))
            .await;
        self.browser.try_post(path, body).await
    }
}

/// Sends a WebDriver command and returns its value or its error.
async fn command_of(http: &Http, path: &str, body: &Value) -> Result<Value, String> {
    let answer = http.post(path).json(body).send().await;
    let value = answer.json()["value"].clone();
    if answer.status == 200 {
        Ok(value)
    } else {
        Err(format!("{}: {}", value["error"], value["message"]))
    }
}
