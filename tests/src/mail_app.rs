//! An app whose mails go to a real mail server, and the calls that take a code from there.

use std::ops::Deref;

use serde_json::{Value, json};

use crate::{Answer, App, Backend, Http, Installation, PASSWORD, SmtpServer, User};

pub const APP_URL: &str = "https://app.example.org/start";

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

/// Of an installation with this mail server.
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

    /// With these settings besides.
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

    /// The code in the next mail to this address.
    pub async fn mailed_code(&self, address: &str) -> String {
        self.smtp.mail_to(address).await.code()
    }

    /// The first step of a signup: what the second must say.
    pub async fn request_signup(&self, username: &str, email: &str) -> Value {
        let first = json!({"username": username, "password": PASSWORD, "email": email});
        self.request_code("/api/signup_request", None, &first, email)
            .await
    }

    /// A whole signup with [`PASSWORD`].
    pub async fn sign_up(&self, username: &str, email: &str) -> User {
        let answer = self
            .http
            .open("/api/signup", &self.request_signup(username, email).await)
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

    /// The first step of a new password of [`User::create`]'s users, by their username: what the second must say.
    pub async fn request_password_reset(&self, username: &str, new_password: &str) -> Value {
        let email = format!("{username}@example.org");
        let asked = self
            .http
            .open(
                "/api/reset_password_request",
                &json!({"username_or_email": username}),
            )
            .await;
        let second = json!({"username": username, "new_password": new_password});
        with_codes(&second, &asked, &self.mailed_code(&email).await)
    }

    /// The first step of a change of address: what the second must say.
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
        let asked = match user {
            Some(user) => user.call(path, first).await,
            None => self.http.open(path, first).await,
        };
        with_codes(first, &asked, &self.mailed_code(email).await)
    }
}

impl Http {
    /// A call without a token.
    pub async fn open(&self, path: &str, body: &Value) -> Answer {
        self.post(path).json(body).send().await
    }
}

/// A second step, with the code of the first one's answer and that of its mail.
#[must_use]
pub fn with_codes(second: &Value, asked: &Answer, verification_code: &str) -> Value {
    let second = with_field(second, "validation_code", validation_code(asked));
    with_field(&second, "verification_code", verification_code)
}

/// Of the answer to a first step, which has no token.
pub fn validation_code(asked: &Answer) -> String {
    let (result, data) = asked.success();
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

/// The same body, but for one member.
#[must_use]
pub fn with_field(body: &Value, name: &str, value: impl Into<Value>) -> Value {
    let mut body = body.clone();
    body[name] = value.into();
    body
}

/// Another code of the same form.
#[must_use]
pub fn wrong(code: &str) -> String {
    let last = if code.ends_with('A') { 'C' } else { 'A' };
    format!("{}{last}", &code[..code.len() - 1])
}

/// The body with a wrong verification code.
#[must_use]
pub fn with_wrong_code(body: &Value) -> Value {
    with_field(
        body,
        "verification_code",
        wrong(body["verification_code"].as_str().expect("a code")),
    )
}
