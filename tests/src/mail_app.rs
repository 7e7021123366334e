//! A server whose mails go to a real mail server, and the calls that need a code from a mail:
//! signup, password reset and change of email address.

use std::ops::Deref;

use serde_json::{Value, json};

use crate::{
    app::{App, User},
    backend::Backend,
    http::Http,
    installation::{Installation, PASSWORD},
    response::Response,
    smtp::SmtpServer,
};

pub const APP_URL: &str = "https://app.example.org/start";

/// A server together with its mail server.
pub struct MailApp {
    pub app: App,
    pub smtp: SmtpServer,
}

impl Deref for MailApp {
    type Target = App;

    fn deref(&self) -> &App {
        &self.app
    }
}

/// Returns the settings of an installation that sends through this mail server.
#[must_use]
pub fn mail_settings(smtp: &SmtpServer) -> [(String, String); 3] {
    [
        ("DOORWARD_SMTP_URL", smtp.url()),
        (
            "DOORWARD_MAIL_FROM",
            "Doorward <no-reply@mail.example.org>".to_owned(),
        ),
        ("DOORWARD_APP_URL", APP_URL.to_owned()),
    ]
    .map(|(name, value)| (name.to_owned(), value))
}

impl MailApp {
    pub async fn start(backend: Backend) -> Self {
        Self::with(backend, &[]).await
    }

    /// Starts both servers, the app with additional settings.
    pub async fn with(backend: Backend, variables: &[(&str, &str)]) -> Self {
        let smtp = SmtpServer::start().await;
        let settings = mail_settings(&smtp);
        let settings: Vec<(&str, &str)> = settings
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        let app =
            App::on_installation(Installation::new(backend).with(&settings).with(variables)).await;
        Self { app, smtp }
    }

    /// Waits for the next mail to this address and returns its code.
    pub async fn mailed_code(&self, address: &str) -> String {
        self.smtp.mail_to(address).await.code()
    }

    /// Runs the first step of a signup and returns the body of the second.
    pub async fn request_signup(&self, username: &str, email: &str) -> Value {
        let first = json!({"username": username, "password": PASSWORD, "email": email});
        self.request_code("/api/signup_request", None, &first, email)
            .await
    }

    /// Runs both steps of a signup with [`PASSWORD`].
    pub async fn sign_up(&self, username: &str, email: &str) -> User {
        let answer = self
            .http
            .post_anonymous("/api/signup", &self.request_signup(username, email).await)
            .await;
        let (result, _) = answer.success();
        let gid = result["user"].as_str().expect("a gid").to_owned();
        User {
            gid,
            username: username.to_owned(),
            token: answer.token(),
            http: self.http.clone(),
        }
    }

    /// Runs the first step of a password reset and returns the body of the second. The user must
    /// have the address that [`User::create`] gives.
    pub async fn request_password_reset(&self, username: &str, new_password: &str) -> Value {
        let email = format!("{username}@example.org");
        let response = self
            .http
            .post_anonymous(
                "/api/reset_password_request",
                &json!({"username_or_email": username}),
            )
            .await;
        let second = json!({"username": username, "new_password": new_password});
        with_codes(&second, &response, &self.mailed_code(&email).await)
    }

    /// Runs the first step of a change of address and returns the body of the second.
    pub async fn request_email_change(&self, user: &User, email: &str) -> Value {
        self.request_code(
            "/api/account/update_email_request",
            Some(user),
            &json!({"email": email}),
            email,
        )
        .await
    }

    async fn request_code(
        &self,
        path: &str,
        user: Option<&User>,
        first: &Value,
        email: &str,
    ) -> Value {
        let response = match user {
            Some(user) => user.call(path, first).await,
            None => self.http.post_anonymous(path, first).await,
        };
        with_codes(first, &response, &self.mailed_code(email).await)
    }
}

impl Http {
    /// Sends a `POST` without a token.
    pub async fn post_anonymous(&self, path: &str, body: &Value) -> Response {
        self.post(path).json(body).send().await
    }
}

/// Returns the body of a second step with both codes: the validation code from the response to the
/// first step and the verification code from its mail.
#[must_use]
pub fn with_codes(second: &Value, response: &Response, verification_code: &str) -> Value {
    let second = with_field(second, "validation_code", validation_code(response));
    with_field(&second, "verification_code", verification_code)
}

/// Returns the validation code of the response to a first step.
pub fn validation_code(response: &Response) -> String {
    let (result, data) = response.success();
    assert_eq!(data, json!({}));
    let code = result["validation_code"]
        .as_str()
        .unwrap_or_else(|| panic!("no code: {result}"));
    assert!(
        code.len() == 32
            && code
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte)),
        "{code}"
    );
    code.to_owned()
}

/// Returns a copy of the body with one member replaced.
#[must_use]
pub fn with_field(body: &Value, name: &str, value: impl Into<Value>) -> Value {
    let mut body = body.clone();
    body[name] = value.into();
    body
}

/// Returns a different code of the same form.
#[must_use]
pub fn wrong(code: &str) -> String {
    let last = if code.ends_with('A') { 'C' } else { 'A' };
    format!("{}{last}", &code[..code.len() - 1])
}

/// Returns a copy of the body with a wrong verification code.
#[must_use]
pub fn with_wrong_code(body: &Value) -> Value {
    with_field(
        body,
        "verification_code",
        wrong(body["verification_code"].as_str().expect("a code")),
    )
}
