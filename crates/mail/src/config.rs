//! Where mails go, and from whom.

use lettre::message::Mailbox;
use secrecy::SecretString;

use crate::{Error, compose::with_ascii_domain, smtp_url::SmtpUrl};

/// What the app is called in mails.
pub const APP_NAME: &str = "Doorward";

#[derive(Debug, Clone)]
pub struct MailConfig {
    pub delivery: Delivery,
    /// `Name <address>`, or an address.
    pub from: String,
    /// Where the app is, for links.
    pub app_url: String,
    /// Name in SMTP's EHLO, as [`is_hello`](crate::is_hello) accepts it.
    pub ehlo_name: String,
}

#[derive(Debug, Clone)]
pub enum Delivery {
    /// The URL of the mail server, as [`check_url`] accepts it.
    Smtp(SecretString),
    /// Mails are written to the log, codes and all: for trying it out.
    Log,
}

/// Whether this is the URL of a mail server: `smtp://user:password@host:port?tls=required`, or `smtps://`.
///
/// With `smtp://`, `?tls=` is `required` (STARTTLS), `opportunistic` or `none`; left out, it is `required`, but `none` for a
/// server on this machine. Credentials are sent without TLS only to a server on this machine, or when `none` is said.
///
/// # Errors
/// A sentence that says what is wrong and repeats nothing of the URL.
pub fn check_url(text: &str) -> Result<(), String> {
    SmtpUrl::parse(text).map(drop)
}

/// Whether this is a sender: `Name <address>`, or an address.
///
/// # Errors
/// A sentence that says what is wrong.
pub fn check_from(text: &str) -> Result<(), String> {
    parse_from(text)
        .map(drop)
        .map_err(|error| error.to_string())
}

pub(crate) fn parse_from(text: &str) -> Result<Mailbox, Error> {
    let wrong = || Error::Config("the sender is not `Name <address>`, nor an address".to_owned());
    if text.chars().any(char::is_control) {
        return Err(wrong());
    }
    let Mailbox { name, email } = text.trim().parse().map_err(|_| wrong())?;
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
