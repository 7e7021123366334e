//! The facts about a user that calls about accounts need. The directory has them; the caller passes
//! them in.

use doorward_domain::{Email, Gid};
use doorward_mail::{MailContent, NewMail};

use crate::passwords::strength::UserInputs;

/// A user as known to the directory.
#[derive(Debug, Clone)]
pub(crate) struct UserInfo {
    pub(crate) gid: Gid,
    pub(crate) username: String,
    /// Recipient of mails. None if the user has no valid address.
    pub(crate) email: Option<Email>,
    pub(crate) name: String,
    /// Language of mails.
    pub(crate) language: String,
}

impl UserInfo {
    /// Returns the words that a password of this user must not be made of.
    pub(super) fn password_inputs(&self) -> UserInputs {
        UserInputs::new(&[
            &self.username,
            self.email.as_ref().map_or("", Email::as_str),
            &self.name,
        ])
    }

    pub(super) fn new_mail(&self, id: Gid, to: Email, content: MailContent) -> NewMail {
        NewMail {
            id,
            recipient: to,
            language: self.language.clone(),
            content,
            topic: None,
            expires_at: None,
            user: Some(self.gid),
        }
    }
}
