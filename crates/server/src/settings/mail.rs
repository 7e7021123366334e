//! Settings of mails.

use secrecy::SecretString;

use super::{parse, reader::Reader, role::Role};

#[derive(Debug, Clone)]
pub(crate) struct MailSettings {
    pub smtp_url: Option<SecretString>,
    /// `Name <address>` or an address.
    pub from: Option<String>,
    /// Whether mails are written to the log if no mail server is configured.
    pub is_logged: bool,
    /// Name in SMTP's EHLO.
    pub hello: String,
}

impl MailSettings {
    pub(super) fn read(reader: &mut Reader<'_>, role: Role, app_url: &str) -> Option<Self> {
        let mut mail = Self {
            smtp_url: reader.optional("smtp_url", parse_smtp_url),
            from: reader.optional("mail_from", parse_mailbox),
            is_logged: reader.value_or("log_mails", "false", parse::parse_bool)?,
            hello: reader.value_or(
                "smtp_hello",
                &doorward_mail::default_ehlo_name(app_url),
                parse_ehlo_name,
            )?,
        };
        if reader.is_given("smtp_url") && !reader.is_given("mail_from") {
            let smtp_url = reader.name("smtp_url");
            reader.add_error::<()>(
                "mail_from",
                &format!("expected the sender of mails, as {smtp_url} is set"),
            );
        }
        if role == Role::Demo {
            mail.is_logged = true;
            reader.set_fixed("log_mails", "true");
        }
        Some(mail)
    }
}

fn parse_smtp_url(text: &str) -> Result<SecretString, String> {
    let expected = "expected smtp://<user>:<password>@<host>:<port> or smtps://...";
    doorward_mail::check_url(text)
        .map(|()| text.to_owned().into())
        .map_err(|reason| format!("{expected}: {reason}"))
}

fn parse_mailbox(text: &str) -> Result<String, String> {
    let expected =
        "expected an address, such as noreply@example.org or Doorward <noreply@example.org>";
    doorward_mail::check_from(text)
        .map(|()| text.to_owned())
        .map_err(|_| expected.to_owned())
}

fn parse_ehlo_name(text: &str) -> Result<String, String> {
    let expected = "expected a domain name in ASCII, such as mail.example.org, or an address literal, such as \
                    [192.0.2.1] or [IPv6:2001:db8::1]";
    if doorward_mail::is_ehlo_name(text) {
        Ok(text.to_owned())
    } else {
        Err(expected.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sender_is_an_address_with_or_without_a_name() {
        for good in ["noreply@example.org", "Doorward <noreply@example.org>"] {
            assert!(parse_mailbox(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            "Doorward",
            "Doorward <x>",
            "Doorward <noreply@example.org",
            "a\r\nBcc: <noreply@example.org>",
        ] {
            assert!(parse_mailbox(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn mail_server_is_named_by_an_smtp_url() {
        for good in [
            "smtp://localhost:25",
            "smtps://ann:secret@mail.example.org",
            "smtp://mail.example.org:587?tls=required",
        ] {
            assert!(parse_smtp_url(good).is_ok(), "{good}");
        }
        for bad in ["", "mail.example.org", "http://mail.example.org", "smtp://"] {
            assert!(parse_smtp_url(bad).is_err(), "{bad}");
        }
    }
}
