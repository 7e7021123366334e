//! The preferred language of a client without an account, for the mail of a signup.

use actix_web::{HttpRequest, http::header::ACCEPT_LANGUAGE};

/// Maximum length of the header. Longer lists are ignored.
const MAX_BYTES: usize = 1000;

/// Returns the language with the highest quality in `Accept-Language` (RFC 9110, section 12.5.4),
/// in lower case. Without a usable header it is English.
pub(crate) fn preferred_language(request: &HttpRequest) -> String {
    let header = request
        .headers()
        .get(ACCEPT_LANGUAGE)
        .and_then(|header| header.to_str().ok());
    header
        .filter(|header| header.len() <= MAX_BYTES)
        .and_then(parse)
        .unwrap_or_else(|| "en".to_owned())
}

/// Parses a list of language ranges. A range without `q` has quality 1; of equal ranges, the first
/// is used. One malformed quality makes the list unusable.
fn parse(header: &str) -> Option<String> {
    let mut best: Option<(f32, &str)> = None;
    for range in header.split(',') {
        let (tag, rest) = range.split_once(';').unwrap_or((range, ""));
        let weight = rest
            .trim()
            .strip_prefix("q=")
            .map_or(Some(1.0), |weight| weight.parse().ok())?;
        let tag = tag.trim();
        let is_tag = !tag.is_empty()
            && tag
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        if is_tag && weight > best.map_or(0.0, |(weight, _)| weight) {
            best = Some((weight, tag));
        }
    }
    best.map(|(_, tag)| tag.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn language_with_the_highest_quality_is_chosen() {
        assert_eq!(parse("nl").as_deref(), Some("nl"));
        assert_eq!(parse("en;q=0.5, nl-BE, de;q=0.9").as_deref(), Some("nl-be"));
        assert_eq!(parse("de-AT,de;q=0.9").as_deref(), Some("de-at"));
        for bad in ["", "*", ";;;", "en;q=0", "\"x\"", "en;q=lots"] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }
}
