//! Composes a message from mail content: a MIME body (RFC 2046) with text and HTML, and the headers
//! of RFC 5322 and RFC 3834. It does not know how the message is sent.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use doorward_domain::{Gid, Timestamp};
use lettre::{
    Address, Message,
    address::Envelope,
    message::{
        Mailbox, MultiPart,
        header::{HeaderName, HeaderValue},
    },
};

use crate::{
    address::with_ascii_domain, content::MailContent, render, retry::DeliveryError,
    store::LeasedMail, templates,
};

const AUTO_SUBMITTED: HeaderName = HeaderName::new_from_ascii_str("Auto-Submitted");
const MESSAGE_ID: HeaderName = HeaderName::new_from_ascii_str("Message-ID");
/// End of the year 9999, the last year that a date header can express.
const MAX_DATE_SECONDS: u64 = 253_402_300_799;

/// Composes messages with the sender and the links of one configuration.
pub(crate) struct Composer {
    pub(crate) from: Mailbox,
    pub(crate) app_url: String,
}

pub(crate) struct ComposedMail {
    pub(crate) envelope: Envelope,
    /// The message as it is sent, with all headers.
    pub(crate) bytes: Vec<u8>,
    pub(crate) subject: String,
    pub(crate) text: String,
}

impl Composer {
    /// Composes the message of a mail.
    ///
    /// # Errors
    /// [`DeliveryError::Permanent`] if the recipient is not an address that a message can have.
    pub(crate) fn compose(
        &self,
        mail: &LeasedMail,
        content: &MailContent,
    ) -> Result<ComposedMail, DeliveryError> {
        let invalid_recipient = || {
            DeliveryError::Permanent("no mail can be sent to an address of this form".to_owned())
        };
        let to: Address = mail
            .recipient
            .parse()
            .map(with_ascii_domain)
            .map_err(|_| invalid_recipient())?;
        // The envelope is built explicitly: lettre would derive it from the headers and lose
        // recipients with an unusual quoted form.
        let envelope = Envelope::new(Some(self.from.email.clone()), vec![to.clone()])
            .map_err(|_| invalid_recipient())?;
        let mail_text = templates::write(content, &mail.language);
        let text = render::render_text(&mail_text, &self.app_url);
        let body = MultiPart::alternative_plain_html(
            text.clone(),
            render::render_html(&mail_text, &self.app_url),
        );
        let message = Message::builder()
            .envelope(envelope.clone())
            .from(self.from.clone())
            .to(Mailbox::new(None, to))
            .subject(mail_text.subject.clone())
            .date(to_system_time(mail.created_at))
            .raw_header(raw_header(MESSAGE_ID, self.message_id(mail.id)))
            .raw_header(raw_header(AUTO_SUBMITTED, "auto-generated".to_owned()))
            .multipart(body)
            .map_err(|_| invalid_recipient())?;
        Ok(ComposedMail {
            envelope,
            bytes: message.formatted(),
            subject: mail_text.subject,
            text,
        })
    }

    /// Returns the same id at each attempt, so that mailboxes recognize a copy.
    fn message_id(&self, id: Gid) -> String {
        format!("<{id}@{}>", self.from.email.domain())
    }
}

/// Returns a header that lettre does not encode. The value must be ASCII without spaces.
fn raw_header(name: HeaderName, value: String) -> HeaderValue {
    HeaderValue::dangerous_new_pre_encoded(name, value.clone(), value)
}

fn to_system_time(at: Timestamp) -> SystemTime {
    let seconds = u64::try_from(at.as_seconds())
        .unwrap_or(0)
        .min(MAX_DATE_SECONDS);
    UNIX_EPOCH + Duration::from_secs(seconds)
}

#[cfg(test)]
mod tests {
    use doorward_domain::Email;
    use proptest::prelude::*;

    use super::*;
    use crate::{config::parse_from, content::tests::all_contents};

    fn composer() -> Composer {
        let from = parse_from("Doorward <no-reply@example.org>").unwrap();
        Composer {
            from,
            app_url: "https://app.example.org".to_owned(),
        }
    }

    fn leased(to: &str) -> LeasedMail {
        LeasedMail {
            id: "0f8fad5b-d9cb-469f-a165-70867728950e".parse().unwrap(),
            recipient: to.to_owned(),
            language: "de".to_owned(),
            kind: "reset_code".to_owned(),
            content: String::new(),
            topic: None,
            user: None,
            created_at: Timestamp::from_seconds(1_790_000_000),
            expires_at: None,
            attempts: 1,
            leased_until: Timestamp::from_seconds(1_790_000_120),
        }
    }

    /// Returns the header lines, with folded lines joined.
    fn headers(bytes: &[u8]) -> Vec<String> {
        let text = String::from_utf8(bytes.to_vec()).unwrap();
        assert_eq!(
            text.matches('\n').count(),
            text.matches("\r\n").count(),
            "bare line feeds"
        );
        assert_eq!(
            text.matches('\r').count(),
            text.matches("\r\n").count(),
            "bare carriage returns"
        );
        let (head, _) = text.split_once("\r\n\r\n").unwrap();
        head.replace("\r\n ", " ")
            .replace("\r\n\t", " ")
            .split("\r\n")
            .map(str::to_owned)
            .collect()
    }

    fn names(bytes: &[u8]) -> Vec<String> {
        headers(bytes)
            .iter()
            .map(|line| line.split(':').next().unwrap_or_default().to_owned())
            .collect()
    }

    const NAMES: [&str; 8] = [
        "From",
        "To",
        "Subject",
        "Date",
        "Message-ID",
        "Auto-Submitted",
        "MIME-Version",
        "Content-Type",
    ];

    #[test]
    fn mail_has_the_expected_headers() {
        let content = MailContent::ResetCode {
            code: "K7MWQ4".to_owned(),
            usernames: vec!["ann".to_owned()],
        };
        let composed = composer()
            .compose(&leased("ann@example.org"), &content)
            .unwrap();
        let headers = headers(&composed.bytes);
        let (content_type, others) = headers.split_last().unwrap();
        assert_eq!(
            others,
            [
                "From: Doorward <no-reply@example.org>",
                "To: ann@example.org",
                "Subject: Ihr Code =?utf-8?b?ZsO8cg==?= ein neues Passwort bei Doorward",
                "Date: Mon, 21 Sep 2026 14:13:20 +0000",
                "Message-ID: <0f8fad5b-d9cb-469f-a165-70867728950e@example.org>",
                "Auto-Submitted: auto-generated",
                "MIME-Version: 1.0",
            ]
        );
        assert!(
            content_type.starts_with("Content-Type: multipart/alternative;"),
            "{content_type}"
        );
        assert!(composed.bytes.is_ascii());
        assert!(composed.text.contains("\nK7MWQ4\n"));
    }

    #[test]
    fn unusual_addresses_are_not_changed() {
        let content = MailContent::SignupCode {
            code: "K7MWQ4".to_owned(),
        };
        for (address, sent_to) in [
            ("o'brien+tag@example.org", "o'brien+tag@example.org"),
            ("\"a b\"@example.org", "\"a b\"@example.org"),
            ("\"a@b,<c>\"@example.org", "\"a@b,<c>\"@example.org"),
            ("ann@bücher.example", "ann@xn--bcher-kva.example"),
            ("ünn@bücher.example", "ünn@xn--bcher-kva.example"),
        ] {
            let address = Email::parse(address).unwrap();
            let composed = composer()
                .compose(&leased(address.as_str()), &content)
                .unwrap();
            assert_eq!(
                composed
                    .envelope
                    .to()
                    .iter()
                    .map(ToString::to_string)
                    .collect::<Vec<_>>(),
                [sent_to]
            );
            assert!(
                headers(&composed.bytes).contains(&format!("To: {sent_to}")),
                "{:?}",
                headers(&composed.bytes)
            );
        }
        for address in [
            "",
            "ann",
            "a b@example.org",
            "ann@example.org\r\nBcc: x@y.org",
            "a@b.org, c@d.org",
        ] {
            assert!(
                matches!(
                    composer().compose(&leased(address), &content),
                    Err(DeliveryError::Permanent(_))
                ),
                "{address}"
            );
        }
    }

    #[test]
    fn unusual_senders_are_accepted() {
        let content = MailContent::SignupCode {
            code: "K7MWQ4".to_owned(),
        };
        for (from, header) in [
            ("no-reply@example.org", "From: no-reply@example.org"),
            (
                "\"Door, ward\" <a@example.org>",
                "From: =?utf-8?b?RG9vciwgd2FyZA==?= <a@example.org>",
            ),
            (
                "Tür <a@bücher.example>",
                "From: =?utf-8?b?VMO8cg==?= <a@xn--bcher-kva.example>",
            ),
        ] {
            let composer = Composer {
                from: parse_from(from).unwrap(),
                ..composer()
            };
            let composed = composer
                .compose(&leased("ann@example.org"), &content)
                .unwrap();
            assert!(
                headers(&composed.bytes).contains(&header.to_owned()),
                "{:?}",
                headers(&composed.bytes)
            );
        }
    }

    #[test]
    fn hostile_names_do_not_reach_headers() {
        for content in all_contents("a\u{202e}b\r\nBcc: x@y.org\r\n\r\n<script>") {
            let composed = composer()
                .compose(&leased("ann@example.org"), &content)
                .unwrap();
            assert_eq!(names(&composed.bytes), NAMES);
            assert!(!composed.text.contains("\nBcc"));
        }
    }

    proptest! {
        #[test]
        fn content_never_changes_the_headers(text in any::<String>(), language in any::<String>()) {
            for content in all_contents(&text) {
                let mail = LeasedMail { language: language.clone(), ..leased("ann@example.org") };
                let composed = composer().compose(&mail, &content).unwrap();
                prop_assert_eq!(names(&composed.bytes), NAMES);
            }
        }

        #[test]
        fn any_address_gives_at_most_one_recipient(
            text in "(\"[ -~]{0,12}\"|[a-zA-Z0-9.!#$%&'*+/=?^_`{|}~é-]{1,12})@[a-zé0-9-]{1,8}[.][a-zé]{2,5}"
        ) {
            if let Ok(email) = Email::parse(&text) {
                let content = MailContent::SignupCode { code: "K7MWQ4".to_owned() };
                match composer().compose(&leased(email.as_str()), &content) {
                    Ok(composed) => {
                        prop_assert_eq!(names(&composed.bytes), NAMES);
                        prop_assert_eq!(composed.envelope.to().len(), 1);
                    }
                    Err(error) => prop_assert!(matches!(error, DeliveryError::Permanent(_))),
                }
            }
        }
    }
}
