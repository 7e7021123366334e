//! Fixtures for tests of account calls in two steps. Unlike [`doorward_tests::MailApp`], they also
//! work with services in separate processes.

use doorward_tests::{
    App, Backend, Http, Installation, PASSWORD, Response, Services, SmtpServer, sql::texts,
};
use serde_json::{Value, json};

pub(crate) const APP_URL: &str = "https://app.example.org/start";
/// A strong password that differs from [`PASSWORD`].
pub(crate) const NEW_PASSWORD: &str = "kV7 gluon marmalade 12";

/// Adds the settings for sending mails to a mail server.
pub(crate) fn mailed(mut installation: Installation, url: &str) -> Installation {
    installation.set(&[
        ("DOORWARD_SMTP_URL", url),
        ("DOORWARD_MAIL_FROM", "Doorward <no-reply@mail.example.org>"),
        ("DOORWARD_APP_URL", APP_URL),
    ]);
    installation
}

/// Starts all services in one process.
pub(crate) async fn app(backend: Backend, smtp: &SmtpServer, others: &[(&str, &str)]) -> App {
    App::on_installation(mailed(Installation::new(backend), &smtp.url()).with(others)).await
}

/// Starts each service in its own process.
pub(crate) async fn split(
    backend: Backend,
    smtp: &SmtpServer,
    others: &[(&str, &str)],
) -> Services {
    let mut split = Services::prepare(backend).await;
    split.installation = mailed(split.installation, &smtp.url()).with(others);
    split.start_all().await;
    split
}

/// Returns a copy of the body with one member replaced.
pub(crate) fn with(body: &Value, name: &str, value: impl Into<Value>) -> Value {
    let mut body = body.clone();
    body[name] = value.into();
    body
}

/// Returns a copy of the body with a wrong verification code of the same form.
pub(crate) fn wrong(body: &Value) -> Value {
    let code = body["verification_code"].as_str().expect("a code");
    let last = if code.ends_with('A') { 'C' } else { 'A' };
    with(
        body,
        "verification_code",
        format!("{}{last}", &code[..code.len() - 1]),
    )
}

pub(crate) fn validation_code(answer: &Response) -> String {
    answer.success().0["validation_code"]
        .as_str()
        .expect("a code")
        .to_owned()
}

/// Returns the body of a signup request with the address `<username>@example.org`.
pub(crate) fn newcomer(username: &str) -> Value {
    json!({"username": username, "password": PASSWORD, "email": format!("{username}@example.org")})
}

/// Asserts that a code was rejected.
pub(crate) fn refused(answer: &Response) {
    answer.assert_validation_error("verification_code", "incorrect");
}

/// A client of the account calls that reads the codes from mails.
pub(crate) struct AccountClient<'a> {
    pub(crate) http: &'a Http,
    pub(crate) smtp: &'a SmtpServer,
}

impl AccountClient<'_> {
    pub(crate) async fn post(&self, path: &str, body: &Value) -> Response {
        self.http.post(path).json(body).send().await
    }

    pub(crate) async fn post_as(&self, token: &str, path: &str, body: &Value) -> Response {
        self.http.post(path).bearer(token).json(body).send().await
    }

    /// Runs the first step of a signup and returns the body of the second.
    pub(crate) async fn begin_signup(&self, newcomer: &Value) -> Value {
        let response = self.post("/api/signup_request", newcomer).await;
        self.with_codes(
            newcomer,
            &response,
            newcomer["email"].as_str().expect("an address"),
        )
        .await
    }

    /// Runs the first step of a password reset and returns the body of the second.
    pub(crate) async fn begin_reset(&self, username: &str) -> Value {
        let response = self
            .post(
                "/api/reset_password_request",
                &json!({"username_or_email": username}),
            )
            .await;
        let second = json!({"username": username, "new_password": NEW_PASSWORD});
        self.with_codes(&second, &response, &format!("{username}@example.org"))
            .await
    }

    /// Runs the first step of a change of address and returns the body of the second.
    pub(crate) async fn begin_email_change(&self, token: &str, email: &str) -> Value {
        let first = json!({"email": email});
        let response = self
            .post_as(token, "/api/account/update_email_request", &first)
            .await;
        self.with_codes(&first, &response, email).await
    }

    async fn with_codes(&self, second: &Value, response: &Response, address: &str) -> Value {
        let second = with(second, "validation_code", validation_code(response));
        with(
            &second,
            "verification_code",
            self.smtp.mail_to(address).await.code(),
        )
    }

    pub(crate) async fn signup(&self, body: &Value) -> Response {
        self.post("/api/signup", body).await
    }

    pub(crate) async fn reset(&self, body: &Value) -> Response {
        self.post("/api/reset_password", body).await
    }

    pub(crate) async fn change_email(&self, token: &str, body: &Value) -> Response {
        self.post_as(token, "/api/account/update_email", body).await
    }
}

/// Counts the rows of a table that satisfy an SQL condition.
pub(crate) fn count(url: &doorward_storage::DatabaseUrl, table: &str, condition: &str) -> usize {
    texts(
        url,
        &format!("SELECT '' AS text FROM {table} WHERE {condition}"),
    )
    .len()
}

/// Returns the present address of a user.
pub(crate) async fn email_of(http: &Http, token: &str) -> String {
    let (result, data) = http.init(token).await.success();
    let gid = result["user"].as_str().expect("a gid");
    data["cc.users"][gid]["email"]
        .as_str()
        .expect("an address")
        .to_owned()
}
