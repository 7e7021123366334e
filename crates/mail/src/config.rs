//! Configuration of mails: the mail server, the sender and the links.

use lettre::message::Mailbox;
use secrecy::SecretString;

use crate::{address::with_ascii_domain, error::Error, smtp_url::SmtpUrl};

/// Name of the app in mails.
pub const APP_NAME: &str = "Doorward";

/// Settings of the mails of a service.
#[derive(Debug, Clone)]
pub struct MailConfig {
    pub delivery: Delivery,
    /// Sender: `Name <address>`, or only an address.
    pub from: String,
    /// URL of the app, for links.
    pub app_url: String,
    /// Name for EHLO, in a form that [`is_ehlo_name`](crate::is_ehlo_name) accepts.
    pub ehlo_name: String,
}

/// How mails are delivered.
#[derive(Debug, Clone)]
pub enum Delivery {
    /// Over SMTP to the server with this URL, in a form that [`check_url`] accepts.
    Smtp(SecretString),
    /// To the log, including codes. This is only for trials and development.
    Log,
}

/// Checks the URL of a mail server: `smtp://user:password@host:port?tls=required`, or `smtps://`.
///
/// With `smtp://`, `?tls=` is `required` (STARTTLS), `opportunistic` or `none`. The default is
/// `required`, or `none` for a server on this machine. Without TLS, credentials are sent only to a
/// server on this machine or if `none` is explicit.
///
/// # Errors
/// A sentence with the mistake. It contains no part of the URL.
pub fn check_url(text: &str) -> Result<(), String> {
    SmtpUrl::parse(text).map(drop)
}

/// Checks a sender: `Name <address>`, or only an address.
///
/// # Errors
/// A sentence with the mistake.
pub fn check_from(text: &str) -> Result<(), String> {
    parse_from(text)
        .map(drop)
        .map_err(|error| error.to_string())
}

pub(crate) fn parse_from(text: &str) -> Result<Mailbox, Error> {
    let malformed =
        || Error::Config("the sender is not `Name <address>`, nor an address".to_owned());
    if text.chars().any(char::is_control) {
        return Err(malformed());
    }
    let Mailbox { name, email } = text.trim().parse().map_err(|_| malformed())?;
    Ok(Mailbox {
        name,
        email: with_ascii_domain(email),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sender_is_an_address_with_optional_name() {
        for good in [
            "ann@example.org",
            "Doorward <no-reply@example.org>",
            "\"Door, ward\" <a@b.org>",
            "Tür <a@b.org>",
        ] {
            assert_eq!(check_from(good), Ok(()), "{good}");
        }
        for bad in [
            "",
            "Doorward",
            "Doorward <>",
            "a@b.org\r\nBcc: c@d.org",
            "a@b.org, c@d.org",
        ] {
            assert!(check_from(bad).is_err(), "{bad}");
        }
        assert_eq!(
            parse_from("a@bücher.example").unwrap().email.domain(),
            "xn--bcher-kva.example"
        );
    }
}
