//! Email addresses: their grammar (RFC 5321, section 4.1.2; RFC 6531) and their canonical form.
//!
//! One mailbox has many spellings. `Fay@Example.org`, `"fay"@example.org` and `"f\ay"@example.org`
//! are the same mailbox, and so are `fay@bücher.example` and `fay@xn--bcher-kva.example`. All
//! spellings of a mailbox share one canonical form:
//!
//! - The local part is in NFC and lower case, without escapes, and in quotes only if it would be
//!   malformed without them.
//! - The domain is in ASCII (IDNA 2008 with the mappings of UTS 46) and in lower case.
//!
//! | as written | canonical form | mails go to |
//! | --- | --- | --- |
//! | `"F\ay"@Example.org` | `fay@example.org` | `"F\ay"@Example.org` |
//! | `Fay@bücher.example` | `fay@xn--bcher-kva.example` | `Fay@xn--bcher-kva.example` |
//! | `"A\ b"@example.org` | `"a b"@example.org` | `"A b"@example.org` |

use std::{fmt, str::FromStr};

use email_address::EmailAddress;
use idna::uts46::{AsciiDenyList, DnsLength, Hyphens, Uts46};
use unicode_normalization::{UnicodeNormalization, char::decompose_canonical};

use crate::malformed::Malformed;

const MALFORMED: Malformed = Malformed("not an email address");
/// Maximum length of the canonical form (RFC 5321, section 4.5.3.1.3, without the angle brackets).
/// The maximum of a local part is 64, and is checked with its grammar.
const MAX_BYTES: usize = 254;
/// Maximum length of the text as written, which escapes and full-width letters can make longer than
/// the canonical form.
const MAX_ORIGINAL_BYTES: usize = 1024;

/// An address as its owner wrote it. Two addresses are equal if their canonical forms are equal.
#[derive(Debug, Clone)]
pub struct Email {
    original: String,
    delivery_address: String,
    canonical: String,
}

impl Email {
    /// Parses an address of the form `local@domain.tld`. White space (Unicode `White_Space`) around
    /// it is ignored.
    ///
    /// # Errors
    /// [`Malformed`] if the text is not such an address or is too long.
    pub fn parse(text: &str) -> Result<Self, Malformed> {
        let written = text.trim();
        // UTS 46 would remove the zero-width space and the byte order mark from a domain, so that a
        // different text would be the same mailbox.
        let is_hidden = |c: char| c.is_control() || matches!(c, '\u{200b}' | '\u{feff}');
        if written.len() > MAX_ORIGINAL_BYTES || written.chars().any(is_hidden) {
            return Err(MALFORMED);
        }
        let (written_local, written_domain) = written.rsplit_once('@').ok_or(MALFORMED)?;
        let domain = to_ascii_domain(written_domain).ok_or(MALFORMED)?;
        let content = unquote_local_part(written_local).ok_or(MALFORMED)?;
        let plain = quote_if_needed(&content);
        let lower: String = content.to_lowercase().nfc().collect();
        let canonical_local = quote_if_needed(&lower);
        // The mail library does not accept every spelling of a local part. Then mails are sent to
        // the simplest spelling.
        let delivered_local = if is_local_part(written_local) {
            written_local
        } else {
            &plain
        };
        let canonical = format!("{canonical_local}@{domain}");
        if canonical.len() > MAX_BYTES
            || !is_local_part(&canonical_local)
            || !is_local_part(delivered_local)
        {
            return Err(MALFORMED);
        }
        let delivered_domain = if written_domain.is_ascii() {
            written_domain
        } else {
            &domain
        };
        Ok(Self {
            original: written.to_owned(),
            delivery_address: format!("{delivered_local}@{delivered_domain}"),
            canonical,
        })
    }

    /// Returns the address as its owner wrote it, for display.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.original
    }

    /// Returns the address to which mails are sent: as written, but with the domain in ASCII.
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

/// Returns the domain in ASCII and lower case, if it is a host name of at least two labels and not
/// an IP address (RFC 5321, section 4.1.2; RFC 1123, section 2.1).
fn to_ascii_domain(domain: &str) -> Option<String> {
    let ascii = Uts46::new().to_ascii(
        domain.as_bytes(),
        AsciiDenyList::STD3,
        // Many names have hyphens in their third and fourth position, which IDNA reserves but RFC
        // 5321 does not.
        Hyphens::CheckFirstLast,
        DnsLength::Verify,
    );
    let ascii = ascii.ok()?;
    let (_, top) = ascii.rsplit_once('.')?;
    let is_number = top.bytes().all(|byte| byte.is_ascii_digit());
    (!is_number).then(|| ascii.into_owned())
}

/// Returns the content of a local part, without quotes and escapes, in NFC. Returns `None` if the
/// local part is malformed.
fn unquote_local_part(local: &str) -> Option<String> {
    // The lower case or NFC form of some characters is in ASCII: that of the Kelvin sign is `k`,
    // and others become `;` or a backtick. Two mailboxes would count as one.
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

/// Returns the simplest spelling of a local part with this content.
fn quote_if_needed(content: &str) -> String {
    if is_dot_string(content) {
        return content.to_owned();
    }
    format!("\"{}\"", content.replace('\\', "\\\\").replace('"', "\\\""))
}

/// Returns whether the text is a local part without quotes (`Dot-string` in RFC 5321, section
/// 4.1.2).
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
