//! How mail content is stored. A service whose mails contain secrets, such as codes, seals them.

/// Seals and unseals the content of mails.
pub trait ContentSealer: Send + Sync {
    /// Seals a text. It is bound to `associated_data`, which is `outbox/<id>`.
    ///
    /// # Errors
    /// [`SealError`] if the text cannot be sealed.
    fn seal(&self, associated_data: &str, text: &str) -> Result<String, SealError>;

    /// Unseals a text.
    ///
    /// # Errors
    /// [`SealError`] if the text was sealed with another key or other associated data.
    fn unseal(&self, associated_data: &str, sealed: &str) -> Result<String, SealError>;
}

/// The content of a mail cannot be sealed or unsealed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("mail content cannot be sealed, or was sealed with another key")]
pub struct SealError;

/// Stores content without sealing it, for services whose mails contain no secrets.
#[derive(Debug, Clone, Copy, Default)]
pub struct PlainContent;

impl ContentSealer for PlainContent {
    fn seal(&self, _associated_data: &str, text: &str) -> Result<String, SealError> {
        Ok(text.to_owned())
    }

    fn unseal(&self, _associated_data: &str, sealed: &str) -> Result<String, SealError> {
        Ok(sealed.to_owned())
    }
}
