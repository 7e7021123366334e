//! Email addresses.

use std::{fmt, str::FromStr};

use email_address::{EmailAddress, Options};

use crate::Malformed;

/// An address as its owner wrote it (RFC 5321, section 4.1.2); compared without case.
#[derive(Debug, Clone)]
pub struct Email(String);

impl Email {
    /// Parses an address; white space (Unicode `White_Space`) around it is ignored.
    ///
    /// # Errors
    /// When it is no address of the form `local@domain.tld`, or longer than 254 bytes.
    pub fn parse(text: &str) -> Result<Self, Malformed> {
        let text = text.trim();
        if text.len() > 254 || text.chars().any(char::is_control) {
            return Err(Malformed("not an email address"));
        }
        // The sign of Kelvin, which in small letters is an ASCII k: two mailboxes would count as one.
        if text.chars().any(|char| !char.is_ascii() && char.to_lowercase().all(|small| small.is_ascii())) {
            return Err(Malformed("not an email address"));
        }
        let options = Options::default().with_required_tld().without_display_text().without_domain_literal();
        match EmailAddress::parse_with_options(text, options) {
            Ok(address) if is_host(address.domain()) => Ok(Self(text.to_owned())),
            Ok(_) | Err(_) => Err(Malformed("not an email address")),
        }
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The form by which addresses are compared and looked up.
    #[must_use]
    pub fn folded(&self) -> String {
        self.0.to_lowercase()
    }
}

/// Whether it is made as names of hosts are (RFC 1123, section 2.1), and no IP address.
fn is_host(domain: &str) -> bool {
    let is_of_host = |c: char| !c.is_ascii() || c.is_ascii_alphanumeric() || c == '-' || c == '.';
    let top = domain.rsplit('.').next().unwrap_or_default();
    domain.chars().all(is_of_host) && !top.bytes().all(|byte| byte.is_ascii_digit())
}

impl PartialEq for Email {
    fn eq(&self, other: &Self) -> bool {
        self.folded() == other.folded()
    }
}

impl Eq for Email {}

impl fmt::Display for Email {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Email {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        Self::parse(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_differ_by_more_than_case() {
        assert_eq!(Email::parse("Ann@Example.org").unwrap(), Email::parse("ann@example.ORG").unwrap());
        assert_ne!(Email::parse("ann@example.org").unwrap(), Email::parse("ann@example.com").unwrap());
    }

    #[test]
    fn white_space_around_an_address_is_ignored() {
        let around = " \t\r\n\u{b}\u{c}\u{85}\u{a0}\u{1680}\u{2003}\u{2028}\u{2029}\u{202f}\u{205f}\u{3000}";
        let email = Email::parse(&format!("{around}ann@example.org{around}")).unwrap();
        assert_eq!(email.as_str(), "ann@example.org");
        for bad in ["\u{200b}ann@example.org", "ann @example.org", "ann@ example.org", "ann@example.org\u{feff}"] {
            assert!(Email::parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for bad in [
            "",
            "ann",
            "ann@",
            "@example.org",
            "ann@localhost",
            "fran\u{212a}@example.org",
            "a b@example.org",
            "Ann <ann@example.org>",
            "ann@[127.0.0.1]",
            "ann@127.0.0.1",
            "ann@exam_ple.org",
            "ann@example.org\r\nBcc: x@y.z",
        ] {
            assert!(Email::parse(bad).is_err(), "{bad}");
        }
    }
}
