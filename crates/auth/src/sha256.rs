//! SHA-256 of texts that are stored only to be compared.

use aws_lc_rs::digest::{SHA256, digest};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};

/// Returns the SHA-256 of a text, in base64url. Names and addresses are stored in this form where
/// plain text is not needed.
pub(crate) fn sha256_base64(text: &str) -> String {
    URL_SAFE_NO_PAD.encode(digest(&SHA256, text.as_bytes()))
}
