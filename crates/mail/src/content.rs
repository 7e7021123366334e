//! What a mail says: facts, which become words when it is sent.

use serde::{Deserialize, Serialize};

/// Kept as JSON; a mail that waits is read by the release that sends it, so variants and fields stay.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum MailContent {
    SignupCode {
        code: String,
    },
    /// A signup with an address that has accounts.
    AccountExists {
        usernames: Vec<String>,
    },
    ResetCode {
        code: String,
        usernames: Vec<String>,
    },
    /// Confirms the new address.
    EmailCode {
        code: String,
        username: String,
    },
    /// A notice to the owner.
    PasswordChanged {
        username: String,
    },
    /// A notice to the old address. It shows the new one masked.
    EmailChanged {
        username: String,
        email: String,
    },
    /// To a project, from a member: with the link by which it is accepted or declined.
    Invitation {
        inviter: String,
        project: String,
        /// For the link: the random id of the invitation (not of the user), and the gid of the project.
        invitee_gid: String,
        project_gid: String,
    },
}

impl MailContent {
    /// As it is kept, and told of in logs and the audit trail.
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

    /// One of each; every text a user may have chosen is `text`.
    pub(crate) fn all_contents(text: &str) -> Vec<MailContent> {
        let (code, text) = ("K7MWQ4".to_owned(), text.to_owned());
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
        for letter in all_contents("ann") {
            let json = serde_json::to_string(&letter).unwrap();
            assert!(
                json.contains(&format!(r#""kind":"{}""#, letter.kind())),
                "{json}"
            );
            assert_eq!(serde_json::from_str::<MailContent>(&json).unwrap(), letter);
        }
        let kept = r#"{"kind":"reset_code","code":"K7MWQ4","usernames":["ann"]}"#;
        let letter = MailContent::ResetCode {
            code: "K7MWQ4".to_owned(),
            usernames: vec!["ann".to_owned()],
        };
        assert_eq!(serde_json::from_str::<MailContent>(kept).unwrap(), letter);
    }
}
