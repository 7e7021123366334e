//! Settings of mail.

use doorward_domain::Email;
use hyper::Uri;
use secrecy::SecretString;

use super::{parse, reader::Reader, role::Role};

#[derive(Debug, Clone)]
pub(crate) struct MailSettings {
    #[expect(dead_code, reason = "checked already; what it steers comes with a later release")]
    pub smtp_url: Option<SecretString>,
    /// `Name <address>` or an address.
    #[expect(dead_code, reason = "checked already; what it steers comes with a later release")]
    pub from: Option<String>,
    /// Whether mails go to the log where there is no mail server.
    pub is_logged: bool,
}

impl MailSettings {
    pub(super) fn read(reader: &mut Reader<'_>, role: Role) -> Option<Self> {
        let mut mail = Self {
            smtp_url: reader.optional("smtp_url", smtp_url),
            from: reader.optional("mail_from", mailbox),
            is_logged: reader.value_or("log_mails", "false", parse::switch)?,
        };
        if reader.is_given("smtp_url") && !reader.is_given("mail_from") {
            let smtp_url = reader.name("smtp_url");
            reader.mistake::<()>("mail_from", &format!("expected the sender of mails, as {smtp_url} is set"));
        }
        if role == Role::Demo {
            mail.is_logged = true;
            reader.fix("log_mails", "true");
        }
        Some(mail)
    }
}

fn smtp_url(text: &str) -> Result<SecretString, String> {
    let is_smtp = |uri: Uri| {
        matches!(uri.scheme_str(), Some("smtp" | "smtps")) && uri.host().is_some_and(|host| !host.is_empty())
    };
    if text.parse().is_ok_and(is_smtp) {
        return Ok(text.to_owned().into());
    }
    Err("expected smtp://<user>:<password>@<host>:<port> or smtps://...".to_owned())
}

fn mailbox(text: &str) -> Result<String, String> {
    let address = match text.split_once('<') {
        Some((name, rest)) if !name.contains(char::is_control) => rest.strip_suffix('>').unwrap_or_default(),
        Some(_) => "",
        None => text,
    };
    match Email::parse(address) {
        Ok(_) => Ok(text.to_owned()),
        Err(_) => Err("expected an address, such as noreply@example.org or Doorward <noreply@example.org>".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sender_is_an_address_with_or_without_a_name() {
        for good in ["noreply@example.org", "Doorward <noreply@example.org>"] {
            assert!(mailbox(good).is_ok(), "{good}");
        }
        for bad in ["", "Doorward", "Doorward <x>", "Doorward <noreply@example.org", "a\r\nBcc: <noreply@example.org>"]
        {
            assert!(mailbox(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_mail_server_is_named_by_an_smtp_url() {
        for good in
            ["smtp://localhost:25", "smtps://ann:secret@mail.example.org", "smtp://mail.example.org:587?tls=required"]
        {
            assert!(smtp_url(good).is_ok(), "{good}");
        }
        for bad in ["", "mail.example.org", "http://mail.example.org", "smtp://"] {
            assert!(smtp_url(bad).is_err(), "{bad}");
        }
    }
}
