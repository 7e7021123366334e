//! Email addresses: their grammar (RFC 5321, section 4.1.2; RFC 6531) and their canonical form.
//!
//! One mailbox has many spellings. `Fay@Example.org`, `"fay"@example.org` and `"f\ay"@example.org` are the same mailbox, and so
//! are `fay@bücher.example` and `fay@xn--bcher-kva.example`. All of them share one canonical form:
//!
//! - The local part is in NFC and lower case, without escapes, and in quotes only if it would be malformed without them.
//! - The domain is in ASCII (IDNA 2008 with the mappings of UTS 46) and in lower case.

use std::{fmt, str::FromStr};

use email_address::EmailAddress;
use idna::uts46::{AsciiDenyList, DnsLength, Hyphens, Uts46};
use unicode_normalization::{UnicodeNormalization, char::decompose_canonical};

use crate::Malformed;

const MALFORMED: Malformed = Malformed("not an email address");
/// RFC 5321, section 4.5.3.1.3, without the angle brackets. Counts the canonical form; that of a local part is 64 and is
/// checked with its grammar.
const MAX_BYTES: usize = 254;
/// Bound on the text as written, which escapes and full-width letters make longer than the canonical form.
const MAX_ORIGINAL_BYTES: usize = 1024;

/// An address as its owner wrote it. Two addresses are equal when their canonical forms are.
#[derive(Debug, Clone)]
pub struct Email {
    original: String,
    delivery_address: String,
    canonical: String,
}

impl Email {
    /// Parses an address of the form `local@domain.tld`; white space (Unicode `White_Space`) around it is ignored.
    ///
    /// # Errors
    /// When it is no such address, or too long.
    pub fn parse(text: &str) -> Result<Self, Malformed> {
        let written = text.trim();
        // UTS 46 would drop the zero-width space and the byte order mark from a domain.
        let is_hidden = |c: char| c.is_control() || matches!(c, '\u{200b}' | '\u{feff}');
        if written.len() > MAX_ORIGINAL_BYTES || written.chars().any(is_hidden) {
            return Err(MALFORMED);
        }
        let (written_local, written_domain) = written.rsplit_once('@').ok_or(MALFORMED)?;
        let domain = to_ascii_domain(written_domain).ok_or(MALFORMED)?;
        let content = unquote_local_part(written_local).ok_or(MALFORMED)?;
        let plain = quote_if_needed(&content);
        let lower: String = content.to_lowercase().nfc().collect();
        let folded_local = quote_if_needed(&lower);
        // What the mail library would not send to as written is sent to in the simplest spelling.
        let delivered_local = if is_local_part(written_local) {
            written_local
        } else {
            &plain
        };
        let folded = format!("{folded_local}@{domain}");
        if folded.len() > MAX_BYTES
            || !is_local_part(&folded_local)
            || !is_local_part(delivered_local)
        {
            return Err(MALFORMED);
        }
        let delivered_domain = if written_domain.is_ascii() {
            written_domain
        } else {
            &domain
        };
        let delivered = format!("{delivered_local}@{delivered_domain}");
        Ok(Self {
            original: written.to_owned(),
            delivery_address: delivered,
            canonical: folded,
        })
    }

    /// Returns the address as its owner wrote it, to be shown.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.original
    }

    /// Returns the address to which emails are sent: as written, but with the domain in ASCII.
    #[must_use]
    pub fn delivery_address(&self) -> &str {
        &self.delivery_address
    }

    /// Returns the canonical form, by which addresses are compared, counted and looked up.
    #[must_use]
    pub fn canonical(&self) -> String {
        self.canonical.clone()
    }
}

/// Returns the domain in ASCII and lower case, if it is a host name of at least two labels and no IP address (RFC 5321,
/// section 4.1.2; RFC 1123, section 2.1).
fn to_ascii_domain(domain: &str) -> Option<String> {
    let ascii = Uts46::new().to_ascii(
        domain.as_bytes(),
        AsciiDenyList::STD3,
        // Many names have hyphens in their third and fourth position, which IDNA reserves but RFC 5321 does not.
        Hyphens::CheckFirstLast,
        DnsLength::Verify,
    );
    let ascii = ascii.ok()?;
    let (_, top) = ascii.rsplit_once('.')?;
    let is_number = top.bytes().all(|byte| byte.is_ascii_digit());
    (!is_number).then(|| ascii.into_owned())
}

/// Returns what a local part stands for, without quotes and escapes, in NFC.
fn unquote_local_part(local: &str) -> Option<String> {
    // Some characters, such as the Kelvin sign, have an ASCII letter as their lower case or NFC form, and some have `;` or a
    // backtick: two mailboxes would count as one.
    let becomes_ascii = |c: char| {
        let mut is_ascii = true;
        decompose_canonical(c, |part| is_ascii &= part.is_ascii());
        is_ascii || c.to_lowercase().all(|lower| lower.is_ascii())
    };
    if local.chars().any(|c| !c.is_ascii() && becomes_ascii(c)) {
        return None;
    }
    let local: String = local.nfc().collect();
    let Some(quoted) = local.strip_prefix('"') else {
        return is_dot_string(&local).then_some(local);
    };
    let mut content = String::with_capacity(quoted.len());
    let mut chars = quoted.strip_suffix('"')?.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => content.push(
                chars
                    .next()
                    .filter(|escaped| (' '..='~').contains(escaped))?,
            ),
            '"' => return None,
            c => content.push(c),
        }
    }
    Some(content)
}

fn quote_if_needed(content: &str) -> String {
    if is_dot_string(content) {
        return content.to_owned();
    }
    format!("\"{}\"", content.replace('\\', "\\\\").replace('"', "\\\""))
}

fn is_dot_string(text: &str) -> bool {
    !text.starts_with('"') && is_local_part(text)
}

fn is_local_part(text: &str) -> bool {
    EmailAddress::is_valid_local_part(text)
}

impl PartialEq for Email {
    fn eq(&self, other: &Self) -> bool {
        self.canonical == other.canonical
    }
}

impl Eq for Email {}

impl fmt::Display for Email {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.original)
    }
}

impl FromStr for Email {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        Self::parse(text)
    }
}

#[cfg(test)]
#[path = "email_tests.rs"]
mod tests;
