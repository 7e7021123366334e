//! Percent-encoding (RFC 3986, section 2.1) in locations.

use percent_encoding::percent_decode_str;

/// Decodes the percent-encoding of a text.
pub(crate) fn decode(text: &str) -> Result<String, String> {
    let decoded = percent_decode_str(text).decode_utf8();
    decoded
        .map(String::from)
        .map_err(|_| "expected UTF-8 after its %".to_owned())
}
