//! The error of invalid settings, which reports all mistakes at once.

use std::fmt;

/// One line per mistake. A line names the variable, key or flag, and never repeats a secret.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct SettingsError(Vec<String>);

impl SettingsError {
    pub(crate) fn single(name: &str, what: &str) -> Self {
        Self(vec![format!("{name}: {what}")])
    }

    pub(crate) fn push(&mut self, name: &str, what: &str) {
        self.0.push(format!("{name}: {what}"));
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Display for SettingsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("wrong settings:")?;
        self.0
            .iter()
            .try_for_each(|mistake| write!(f, "\n  {mistake}"))
    }
}

impl std::error::Error for SettingsError {}
