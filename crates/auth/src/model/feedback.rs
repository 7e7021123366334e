//! Advice about a password that is too weak.

/// Advice to the user who chooses a password.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Feedback {
    /// The main weakness of the password. Empty if zxcvbn names none.
    pub warning: String,
    pub suggestions: Vec<String>,
}

impl Feedback {
    /// Returns the feedback on a password with fewer than `min_chars` characters.
    pub(crate) fn for_short_password(min_chars: usize) -> Self {
        let suggestion = format!(
            "Use at least {min_chars} characters. A few uncommon words are easy to remember."
        );
        Self {
            warning: "This is too short.".to_owned(),
            suggestions: vec![suggestion],
        }
    }

    /// Returns the feedback as JSON, the form in which it is sent to the gateway and to clients.
    pub(crate) fn to_json(&self) -> String {
        serde_json::json!({"warning": self.warning, "suggestions": self.suggestions}).to_string()
    }
}
