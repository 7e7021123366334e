//! Sends one mail over one SMTP connection (RFC 5321), with TLS (RFC 3207, RFC 8314) and
//! credentials (RFC 4954) as the URL says. It does not decide about retries.
//!
//! The steps are separate, without lettre's transport, because the meaning of a rejection depends
//! on the step: up to the login it concerns this server or its settings, afterwards the mail.

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
    compose::ComposedMail,
    ehlo,
    error::Error,
    retry::DeliveryError,
    smtp_url::{SmtpUrl, Tls},
};

/// Maximum time to connect to one address of the server.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Maximum time until the server is ready for a mail: name lookup, connection, greeting, TLS,
/// login.
const READY_TIMEOUT: Duration = Duration::from_secs(25);
/// Maximum time to send a mail. It is far below the duration of the lease, so no other process
/// sends the mail at the same time.
const SEND_TIMEOUT: Duration = Duration::from_secs(60);
const QUIT_TIMEOUT: Duration = Duration::from_secs(5);
/// Reply codes that concern the login, in any step of the session (RFC 4954, section 6).
const LOGIN_CODES: [&str; 4] = ["530", "534", "535", "538"];

/// The connection settings of a mail server.
pub(crate) struct SmtpTransport {
    url: SmtpUrl,
    tls: TlsParameters,
    ehlo_name: ClientId,
}

impl SmtpTransport {
    /// Parses the settings and reads the certificate authorities that the system trusts.
    ///
    /// # Errors
    /// [`Error::Config`].
    pub(crate) fn new(url: &SecretString, ehlo_name: &str) -> Result<Self, Error> {
        let url = SmtpUrl::parse(url.expose_secret())
            .map_err(|error| Error::Config(format!("the URL of the mail server: {error}")))?;
        let tls = TlsParameters::new(url.host.clone());
        let tls = tls.map_err(|error| {
            Error::Config(format!("TLS with the mail server: {}", error_chain(&error)))
        })?;
        let ehlo_name = ehlo::parse(ehlo_name)
            .ok_or_else(|| Error::Config(format!("EHLO can't give the name {ehlo_name}")))?;
        Ok(Self {
            url,
            tls,
            ehlo_name,
        })
    }

    /// Sends a mail. Returns when the server has accepted it, and with it the responsibility for
    /// its delivery.
    pub(crate) async fn send(&self, mail: &ComposedMail) -> Result<(), DeliveryError> {
        let sent = tokio::time::timeout(SEND_TIMEOUT, self.send_message(mail)).await;
        sent.unwrap_or_else(|_| {
            Err(DeliveryError::Temporary(
                "the mail server did not respond in time".to_owned(),
            ))
        })
    }

    async fn send_message(&self, mail: &ComposedMail) -> Result<(), DeliveryError> {
        let connected = tokio::time::timeout(READY_TIMEOUT, self.connect()).await;
        let mut connection = connected
            .map_err(|_| {
                DeliveryError::ServerUnavailable(
                    "the server was not ready for a mail in time".to_owned(),
                )
            })?
            .map_err(|error| DeliveryError::ServerUnavailable(error_chain(&error)))?
            .ok_or_else(|| {
                DeliveryError::ServerUnavailable(
                    "the server does not offer TLS, without which credentials are not sent"
                        .to_owned(),
                )
            })?;
        connection
            .send(&mail.envelope, &mail.bytes)
            .await
            .map_err(|error| classify_error(&error))?;
        // The server has the mail. QUIT runs in the background, because its failure would not
        // matter.
        tokio::spawn(async move { tokio::time::timeout(QUIT_TIMEOUT, connection.abort()).await });
        Ok(())
    }

    /// Connects and logs in. Returns `None` if the connection is not encrypted and credentials must
    /// not be sent over it.
    async fn connect(&self) -> Result<Option<AsyncSmtpConnection>, SmtpError> {
        let host = self.url.host.as_str();
        let tls = self.tls.clone();
        let implicit_tls = (self.url.tls == Tls::Implicit).then(|| tls.clone());
        let address = (host, self.url.port);
        let mut connection = AsyncSmtpConnection::connect_tokio1(
            address,
            Some(CONNECT_TIMEOUT),
            &self.ehlo_name,
            implicit_tls,
            None,
        )
        .await?;
        let uses_starttls = match self.url.tls {
            Tls::Required => true,
            Tls::Opportunistic => connection.can_starttls(),
            Tls::Implicit | Tls::None => false,
        };
        if uses_starttls {
            connection.starttls(tls, &self.ehlo_name).await?;
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

/// Classifies an error that occurred after the login.
fn classify_error(error: &SmtpError) -> DeliveryError {
    match error.status() {
        Some(code) if LOGIN_CODES.contains(&code.to_string().as_str()) => {
            DeliveryError::ServerUnavailable(format!(
                "the server requires a login: {}",
                reply_code(code, error)
            ))
        }
        Some(code) if error.is_permanent() => DeliveryError::Permanent(format!(
            "the mail server refused it: {}",
            reply_code(code, error)
        )),
        Some(code) => DeliveryError::Temporary(format!(
            "the mail server replied {}",
            reply_code(code, error)
        )),
        // From lettre, which saw that the server lacks SMTPUTF8 (RFC 6531).
        None if error.is_client() => {
            DeliveryError::Permanent("the mail server takes no addresses of this form".to_owned())
        }
        None => DeliveryError::Temporary("lost the connection to the mail server".to_owned()),
    }
}

/// Returns the reply code, and the enhanced status code (RFC 3463) if there is one. The text of a
/// reply is left out, because servers repeat addresses in it.
fn reply_code(code: Code, error: &SmtpError) -> String {
    let text = error.source().map(ToString::to_string).unwrap_or_default();
    let enhanced = text.split_whitespace().next().unwrap_or_default();
    let is_enhanced = enhanced.len() <= 11
        && enhanced.split('.').count() == 3
        && enhanced
            .split('.')
            .all(|part| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit()));
    if is_enhanced {
        format!("{code} {enhanced}")
    } else {
        code.to_string()
    }
}

/// Returns the text of an error, with its causes, on one line.
fn error_chain(error: &SmtpError) -> String {
    let text = error.to_string();
    text.chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
}
