//! The facts of a mail. Templates turn them into text when the mail is sent.

use serde::{Deserialize, Serialize};

/// Content of a mail, stored as JSON. A stored mail can be read by a later release, so variants and
/// fields must not be removed or renamed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum MailContent {
    /// Confirms the address of a new account.
    SignupCode { code: String },
    /// Reports a signup with an address that has accounts.
    AccountExists { usernames: Vec<String> },
    /// Allows a new password.
    ResetCode {
        code: String,
        usernames: Vec<String>,
    },
    /// Confirms the new address of an account. It is sent to that address.
    EmailCode { code: String, username: String },
    /// Reports a new password to the user.
    PasswordChanged { username: String },
    /// Reports a new address to the old one, which sees the new one masked.
    EmailChanged { username: String, email: String },
    /// Invites to a project, with the link to accept or decline.
    Invitation {
        inviter: String,
        project: String,
        /// Random id of the invitation, which is not the gid of the user.
        invitee_gid: String,
        project_gid: String,
    },
}

impl MailContent {
    /// Returns the name of the kind, as in the database, in logs and in the audit trail.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::SignupCode { .. } => "signup_code",
            Self::AccountExists { .. } => "account_exists",
            Self::ResetCode { .. } => "reset_code",
            Self::EmailCode { .. } => "email_code",
            Self::PasswordChanged { .. } => "password_changed",
            Self::EmailChanged { .. } => "email_changed",
            Self::Invitation { .. } => "invitation",
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Returns one mail of each kind, with `text` in place of everything that a user can choose.
    pub(crate) fn all_contents(text: &str) -> Vec<MailContent> {
        let code = "K7MWQ4".to_owned();
        let text = text.to_owned();
        vec![
            MailContent::SignupCode { code: code.clone() },
            MailContent::AccountExists {
                usernames: vec![text.clone(), "ben".to_owned()],
            },
            MailContent::ResetCode {
                code: code.clone(),
                usernames: vec![text.clone()],
            },
            MailContent::EmailCode {
                code,
                username: text.clone(),
            },
            MailContent::PasswordChanged {
                username: text.clone(),
            },
            MailContent::EmailChanged {
                username: text.clone(),
                email: format!("{text}@example.org"),
            },
            MailContent::Invitation {
                inviter: text.clone(),
                project: text,
                invitee_gid: "0f8fad5b-d9cb-469f-a165-70867728950e".to_owned(),
                project_gid: "7c9e6679-7425-40de-944b-e07fc1f90ae7".to_owned(),
            },
        ]
    }

    #[test]
    fn content_is_stored_as_json_with_its_kind() {
        for content in all_contents("ann") {
            let json = serde_json::to_string(&content).unwrap();
            assert!(
                json.contains(&format!(r#""kind":"{}""#, content.kind())),
                "{json}"
            );
            assert_eq!(serde_json::from_str::<MailContent>(&json).unwrap(), content);
        }
        let stored = r#"{"kind":"reset_code","code":"K7MWQ4","usernames":["ann"]}"#;
        let content = MailContent::ResetCode {
            code: "K7MWQ4".to_owned(),
            usernames: vec!["ann".to_owned()],
        };
        assert_eq!(
            serde_json::from_str::<MailContent>(stored).unwrap(),
            content
        );
    }
}
