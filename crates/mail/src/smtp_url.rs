//! The URL of a mail server: its host, port, TLS mode and credentials.

use std::net::IpAddr;

use lettre::transport::smtp::{
    SMTP_PORT, SUBMISSION_PORT, SUBMISSIONS_PORT, authentication::Credentials,
};
use percent_encoding::percent_decode_str;
use url::Url;

/// When a connection is encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tls {
    /// From the first byte (RFC 8314).
    Implicit,
    /// With STARTTLS (RFC 3207); without it no mail is sent.
    Required,
    /// With STARTTLS if the server offers it. An attacker on the network path can remove the offer,
    /// so this only protects against passive listening.
    Opportunistic,
    None,
}

pub(crate) struct SmtpUrl {
    /// Host name or IP address; an IPv6 address has no brackets.
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) tls: Tls,
    pub(crate) credentials: Option<Credentials>,
    /// Whether the credentials may be sent without TLS.
    pub(crate) may_send_credentials_plainly: bool,
}

impl SmtpUrl {
    /// Parses a URL. The error is a sentence that contains no part of the URL, which has a
    /// password.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let url = Url::parse(text).map_err(|error| format!("it is no URL: {error}"))?;
        let host = url
            .host_str()
            .filter(|host| !host.is_empty())
            .ok_or("it names no host")?;
        let host = host
            .trim_start_matches('[')
            .trim_end_matches(']')
            .to_owned();
        if !matches!(url.path(), "" | "/") || url.fragment().is_some() {
            return Err(
                "it has a path or a fragment; in a password, `/`, `?` and `#` are written %2F, %3F and %23".into()
            );
        }
        let explicit = parse_tls(&url)?;
        let is_local = is_loopback(&host);
        let tls = match (url.scheme(), explicit) {
            ("smtps", None) => Tls::Implicit,
            ("smtps", Some(_)) => {
                return Err("smtps:// is TLS from the start: leave out `tls=`".to_owned());
            }
            ("smtp", Some(explicit)) => explicit,
            ("smtp", None) if is_local => Tls::None,
            ("smtp", None) => Tls::Required,
            _ => return Err("it begins with neither smtp:// nor smtps://".to_owned()),
        };
        let default_port = match tls {
            Tls::Implicit => SUBMISSIONS_PORT,
            Tls::Required | Tls::Opportunistic => SUBMISSION_PORT,
            Tls::None => SMTP_PORT,
        };
        Ok(Self {
            host,
            port: url.port().unwrap_or(default_port),
            tls,
            credentials: parse_credentials(&url)?,
            may_send_credentials_plainly: is_local || explicit == Some(Tls::None),
        })
    }
}

/// Returns the parameter `tls`, which is the only one that exists.
fn parse_tls(url: &Url) -> Result<Option<Tls>, String> {
    let mut explicit = None;
    for (name, value) in url.query_pairs() {
        let tls = match (name.as_ref(), value.as_ref()) {
            ("tls", "required") => Tls::Required,
            ("tls", "opportunistic") => Tls::Opportunistic,
            ("tls", "none") => Tls::None,
            ("tls", _) => return Err("`tls=` is `required`, `opportunistic` or `none`".to_owned()),
            _ => return Err("it has a parameter other than `tls`".to_owned()),
        };
        if explicit.replace(tls).is_some() {
            return Err("`tls=` is there twice".to_owned());
        }
    }
    Ok(explicit)
}

fn parse_credentials(url: &Url) -> Result<Option<Credentials>, String> {
    let decode = |text: &str| {
        let decoded = percent_decode_str(text).decode_utf8();
        decoded
            .map(String::from)
            .map_err(|_| "the user or the password is not UTF-8".to_owned())
    };
    match (url.username(), url.password()) {
        ("", None) => Ok(None),
        ("", Some(_)) => Err("it has a password and no user".to_owned()),
        (_, None) => Err("it has a user and no password".to_owned()),
        (user, Some(password)) => Ok(Some(Credentials::new(decode(user)?, decode(password)?))),
    }
}

fn is_loopback(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost")
        || host
            .parse()
            .is_ok_and(|address: IpAddr| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tls_is_required_unless_local_or_overridden() {
        let cases = [
            ("smtp://mail.example.org", 587, Tls::Required, false),
            ("smtp://mail.example.org:2525/", 2525, Tls::Required, false),
            (
                "smtp://ann:secret@mail.example.org?tls=opportunistic",
                587,
                Tls::Opportunistic,
                false,
            ),
            (
                "smtp://ann:secret@mail.example.org?tls=none",
                25,
                Tls::None,
                true,
            ),
            ("smtps://mail.example.org", 465, Tls::Implicit, false),
            ("smtp://127.0.0.9", 25, Tls::None, true),
            ("smtp://[::1]:1025", 1025, Tls::None, true),
            ("smtp://LocalHost?tls=required", 587, Tls::Required, true),
            ("smtp://localhost.example.org", 587, Tls::Required, false),
            ("smtp://10.0.0.1", 587, Tls::Required, false),
        ];
        for (text, port, tls, without_tls) in cases {
            let url = SmtpUrl::parse(text).unwrap();
            assert_eq!(
                (url.port, url.tls, url.may_send_credentials_plainly),
                (port, tls, without_tls),
                "{text}"
            );
        }
        assert_eq!(SmtpUrl::parse("smtp://[::1]:1025").unwrap().host, "::1");
    }

    #[test]
    fn credentials_are_percent_decoded() {
        let url =
            SmtpUrl::parse("smtps://ann%40example.org:s%2Fe+c%23ret@mail.example.org").unwrap();
        let expected = Credentials::new("ann@example.org".to_owned(), "s/e+c#ret".to_owned());
        assert!(url.credentials == Some(expected));
        assert!(
            SmtpUrl::parse("smtps://mail.example.org")
                .unwrap()
                .credentials
                .is_none()
        );
    }

    #[test]
    fn malformed_url_is_rejected_without_showing_secrets() {
        for bad in [
            "",
            "s3cret",
            "http://mail.example.org",
            "smtp://",
            "smtp:mail.example.org",
            "smtp://ann@mail.example.org",
            "smtp://:s3cret@mail.example.org",
            "smtp://ann:s3c/ret@mail.example.org",
            "smtp://ann:s3c#ret@mail.example.org",
            "smtp://ann:s3c?ret@mail.example.org",
            "smtp://ann:s3cret%ff@mail.example.org",
            "smtp://mail.example.org/s3cret",
            "smtp://mail.example.org?tls=s3cret",
            "smtp://mail.example.org?tls=none&tls=none",
            "smtp://mail.example.org?s3cret=1",
            "smtps://mail.example.org?tls=none",
            "smtp://mail.example.org:99999",
        ] {
            let Err(error) = SmtpUrl::parse(bad) else {
                panic!("{bad}")
            };
            assert!(!error.contains("s3c"), "{error}");
        }
    }
}
