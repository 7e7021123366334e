//! One mail over one SMTP connection (RFC 5321), with TLS (RFC 3207, 8314) and credentials (RFC 4954) as the URL says.
//!
//! The steps are taken one by one, and not by lettre's transport, because what a refusal means depends on the step: up to
//! the login it is about us, after it about the mail.

use std::{error::Error as _, time::Duration};

use lettre::transport::smtp::{
    Error as SmtpError,
    authentication::Mechanism,
    client::{AsyncSmtpConnection, TlsParameters},
    extension::ClientId,
    response::Code,
};
use secrecy::{ExposeSecret, SecretString};

use crate::{
    Error,
    compose::ComposedMail,
    ehlo,
    retry::DeliveryError,
    smtp_url::{SmtpUrl, Tls},
};

/// For each address of the server.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Until it would take a mail: addresses, greeting, TLS, login.
const GREETING_TIMEOUT: Duration = Duration::from_secs(25);
/// All of it. Far below the lease, so nobody else has the mail meanwhile.
const SEND_TIMEOUT: Duration = Duration::from_secs(60);
const QUIT_TIMEOUT: Duration = Duration::from_secs(5);
/// They are about the login, whenever they come (RFC 4954, section 6).
const LOGIN_CODES: [&str; 4] = ["530", "534", "535", "538"];

pub(crate) struct SmtpTransport {
    url: SmtpUrl,
    tls: TlsParameters,
    hello: ClientId,
}

impl SmtpTransport {
    /// Reads the authorities that the system trusts.
    pub(crate) fn new(url: &SecretString, hello: &str) -> Result<Self, Error> {
        let url = SmtpUrl::parse(url.expose_secret())
            .map_err(|error| Error::Config(format!("the URL of the mail server: {error}")))?;
        let tls = TlsParameters::new(url.host.clone());
        let tls = tls.map_err(|error| {
            Error::Config(format!("TLS with the mail server: {}", error_chain(&error)))
        })?;
        let hello = ehlo::parse(hello)
            .ok_or_else(|| Error::Config(format!("EHLO can't give the name {hello}")))?;
        Ok(Self { url, tls, hello })
    }

    /// Returns once the server has taken over the responsibility for the mail.
    pub(crate) async fn send(&self, mail: &ComposedMail) -> Result<(), DeliveryError> {
        let sent = tokio::time::timeout(SEND_TIMEOUT, self.send_message(mail)).await;
        sent.unwrap_or_else(|_| {
            Err(DeliveryError::Later(
                "the mail server was too slow".to_owned(),
            ))
        })
    }

    async fn send_message(&self, mail: &ComposedMail) -> Result<(), DeliveryError> {
        let connected = tokio::time::timeout(GREETING_TIMEOUT, self.connect()).await;
        let mut connection = connected
            .map_err(|_| DeliveryError::Away("no greeting in time".to_owned()))?
            .map_err(|error| DeliveryError::Away(error_chain(&error)))?
            .ok_or_else(|| {
                DeliveryError::Away("it offers no TLS, and credentials don't go without".to_owned())
            })?;
        connection
            .send(&mail.envelope, &mail.bytes)
            .await
            .map_err(|error| classify_error(&error))?;
        // The mail is sent; that it ends politely is nobody's worry.
        tokio::spawn(async move { tokio::time::timeout(QUIT_TIMEOUT, connection.abort()).await });
        Ok(())
    }

    /// Nothing when the credentials can't go over this connection.
    async fn connect(&self) -> Result<Option<AsyncSmtpConnection>, SmtpError> {
        let (host, tls) = (self.url.host.as_str(), self.tls.clone());
        let wrapped = (self.url.tls == Tls::Implicit).then(|| tls.clone());
        let address = (host, self.url.port);
        let mut connection = AsyncSmtpConnection::connect_tokio1(
            address,
            Some(CONNECT_TIMEOUT),
            &self.hello,
            wrapped,
            None,
        )
        .await?;
        let upgrades = match self.url.tls {
            Tls::Required => true,
            Tls::Opportunistic => connection.can_starttls(),
            Tls::Implicit | Tls::None => false,
        };
        if upgrades {
            connection.starttls(tls, &self.hello).await?;
        }
        if let Some(credentials) = &self.url.credentials {
            if !connection.is_encrypted() && !self.url.may_send_credentials_plainly {
                return Ok(None);
            }
            connection
                .auth(&[Mechanism::Plain, Mechanism::Login], credentials)
                .await?;
        }
        Ok(Some(connection))
    }
}

/// What an error after the login means.
fn classify_error(error: &SmtpError) -> DeliveryError {
    match error.status() {
        Some(code) if LOGIN_CODES.contains(&code.to_string().as_str()) => {
            DeliveryError::Away(format!("it wants a login: {}", reply_code(code, error)))
        }
        Some(code) if error.is_permanent() => DeliveryError::Refused(format!(
            "the mail server refused it: {}",
            reply_code(code, error)
        )),
        Some(code) => {
            DeliveryError::Later(format!("the mail server said {}", reply_code(code, error)))
        }
        // Ours: it saw that the server knows no such addresses (SMTPUTF8).
        None if error.is_client() => {
            DeliveryError::Refused("the mail server takes no addresses of this form".to_owned())
        }
        None => DeliveryError::Later("the connection to the mail server broke".to_owned()),
    }
}

/// The code, and the extended one (RFC 3463) when there is one; no more, for servers repeat addresses.
fn reply_code(code: Code, error: &SmtpError) -> String {
    let words = error.source().map(ToString::to_string).unwrap_or_default();
    let extended = words.split_whitespace().next().unwrap_or_default();
    let is_extended = extended.len() <= 11
        && extended.split('.').count() == 3
        && extended
            .split('.')
            .all(|part| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit()));
    if is_extended {
        format!("{code} {extended}")
    } else {
        code.to_string()
    }
}

/// An error and its causes, on one line.
fn error_chain(error: &SmtpError) -> String {
    let text = error.to_string();
    text.chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
}
