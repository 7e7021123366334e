//! Starts `doorward serve`, all services in one process, and logs users in. It knows only the
//! command line, the settings and the HTTP API.

use std::time::Duration;

use serde_json::{Value, json};

use crate::{
    backend::Backend,
    http::Http,
    installation::{Installation, PASSWORD},
    process::Process,
    response::Response,
    wait::eventually,
};

/// Maximum time until a server is ready, also on a busy machine.
pub const START_TIMEOUT: Duration = Duration::from_secs(20);

/// A server in one process, with its installation.
pub struct App {
    pub process: Process,
    pub installation: Installation,
    pub http: Http,
    /// Client of the operations listener: health and metrics.
    pub ops: Http,
}

/// A user who has logged in.
pub struct User {
    pub gid: String,
    pub username: String,
    pub token: String,
    pub http: Http,
}

impl App {
    /// Starts a server in a new installation and waits until it is ready.
    pub async fn start(backend: Backend) -> Self {
        Self::with_settings(backend, &[]).await
    }

    /// Starts a server with additional settings.
    pub async fn with_settings(backend: Backend, variables: &[(&str, &str)]) -> Self {
        Self::on_installation(Installation::new(backend).with(variables)).await
    }

    /// Starts a server on an existing installation.
    pub async fn on_installation(installation: Installation) -> Self {
        let process = installation.spawn(&["serve"], &[]);
        let http = Http::new(&installation.variable("DOORWARD_LISTEN"));
        let ops = Http::new(&installation.variable("DOORWARD_OPS_LISTEN"));
        let mut app = Self {
            process,
            installation,
            http,
            ops,
        };
        app.ready().await;
        app
    }

    /// Kills the server and starts it again, on the same ports.
    pub async fn restart(&mut self) {
        self.process.kill();
        self.process = self.installation.spawn(&["serve"], &[]);
        self.ready().await;
    }

    async fn ready(&mut self) {
        wait_until_ready(&mut self.process, &self.ops).await;
    }

    /// Creates a user with the command line and logs in.
    pub async fn user(&self, username: &str) -> User {
        User::create(&self.installation, &self.http, username).await
    }
}

impl User {
    /// Creates a user with the command line and logs in.
    pub async fn create(installation: &Installation, http: &Http, username: &str) -> Self {
        let gid = installation.create_user(username).await;
        let token = http.login(username, PASSWORD).await.token();
        Self {
            gid,
            username: username.to_owned(),
            token,
            http: http.clone(),
        }
    }

    pub async fn init(&self) -> Response {
        self.http.init(&self.token).await
    }

    /// Sends a `POST` with the user's token.
    pub async fn call(&self, path: &str, body: &Value) -> Response {
        self.http
            .post(path)
            .bearer(&self.token)
            .json(body)
            .send()
            .await
    }

    /// Calls an operation on a project's API users, such as `create`.
    pub async fn api_keys(&self, project: &str, call: &str, body: &Value) -> Response {
        self.call(&format!("/api/p/{project}/apikeys/{call}"), body)
            .await
    }

    /// Creates an API user and reads its key.
    pub async fn create_api_user(&self, project: &str, name: &str) -> ApiUser {
        let (created, _) = self
            .api_keys(project, "create", &json!({"name": name}))
            .await
            .success();
        let gid = created["user"].as_str().expect("a gid").to_owned();
        let (read, _) = self
            .api_keys(project, "get", &json!({"user": gid}))
            .await
            .success();
        let key = read["apikey"].as_str().expect("a key").to_owned();
        ApiUser {
            gid,
            project: project.to_owned(),
            key,
            http: self.http.clone(),
        }
    }

    /// Waits until the token is rejected, at most one second, the limit of the contract.
    pub async fn assert_denied_within_a_second(&self) {
        self.http.denied_within_a_second(&self.token).await;
    }

    /// Waits until the token is rejected, also on a busy machine.
    pub async fn assert_denied_eventually(&self) {
        self.http.denied_soon(&self.token).await;
    }
}

/// An API user and its key.
pub struct ApiUser {
    pub gid: String,
    pub project: String,
    pub key: String,
    http: Http,
}

impl ApiUser {
    pub async fn auth(&self) -> Response {
        self.http.auth(&self.project, &self.key).await
    }

    #[must_use]
    pub const fn http(&self) -> &Http {
        &self.http
    }
}

impl Http {
    /// Waits until a token is rejected, at most one second, the limit of the contract.
    ///
    /// The limit is reliable only in a test that runs alone on the machine. `.config/nextest.toml`
    /// ensures this for tests with `within_a_second` in their names.
    pub async fn denied_within_a_second(&self, token: &str) {
        self.denied_within(Duration::from_secs(1), token).await;
    }

    /// Waits until a token is rejected, at most ten seconds, for tests that share the machine.
    pub async fn denied_soon(&self, token: &str) {
        self.denied_within(Duration::from_secs(10), token).await;
    }

    async fn denied_within(&self, time: Duration, token: &str) {
        let answer = eventually("401", time, async || {
            Some(self.init(token).await).filter(|answer| answer.status != 200)
        });
        answer.await.assert_unauthenticated();
    }
}

/// Polls the health of a server until it is ready, and fails at once if its process ends.
pub async fn wait_until_ready(process: &mut Process, ops: &Http) {
    eventually("ready", START_TIMEOUT, async || {
        assert!(process.is_running(), "the server exited: {}", process.log());
        (ops.status("/health/ready").await == Some(200)).then_some(())
    })
    .await;
}
