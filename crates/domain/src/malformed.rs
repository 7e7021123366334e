//! The error of every parser in this crate.

/// The error for a value that does not have the form of its type. The text names the rule that the
/// value breaks, and never contains the value, which can be personal data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Malformed(pub &'static str);
