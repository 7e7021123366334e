//! Change of the email address, in two steps: proof that the user receives mail at the new address.
//! The directory stores the address, between the check of the codes and the end.

use doorward_domain::{Email, Gid};
use doorward_mail::MailContent;
use doorward_storage::AnyConnection;

use crate::{
    accounts::{
        account_rules::Accounts,
        client_context::ClientContext,
        codes::{self, CodeAttempt, CodePair},
        shared_steps::use_up,
        user_info::UserInfo,
    },
    audit,
    error::Error,
    model::{Action, Entry, Purpose},
};

impl Accounts {
    /// Mails a verification code to the new address and returns the validation code.
    ///
    /// # Errors
    /// [`Error::EmailInvalid`], [`Error::Throttled`], [`Error::MailDisabled`], and database errors.
    pub(crate) async fn request_email_change(
        &self,
        user: UserInfo,
        email: &str,
        from: &ClientContext,
    ) -> Result<String, Error> {
        self.outbox()?;
        let email = Email::parse(email).map_err(|_| Error::EmailInvalid)?;
        let is_known_network = self
            .count_email_change_mail(user.gid, email.clone(), from)
            .await?;
        let gid = user.gid.to_string();
        let canonical = email.canonical();
        let (mut code, pair) = self.codes.create(
            Purpose::EmailChange,
            gid.clone(),
            &[&[&gid, &canonical]],
            self.clock.now(),
        )?;
        code.is_from_known_network = is_known_network;
        let content = MailContent::EmailCode {
            code: pair.verification_code,
            username: user.username.clone(),
        };
        let mail = user.new_mail(self.ids.new_gid(), email, content);
        let entry = Entry::new(
            Action::EmailChangeRequested,
            Some(user.gid),
            &from.origin.with_user(user.gid),
        );
        self.store_and_mail_code(code, mail, entry).await?;
        Ok(pair.validation_code)
    }

    /// Verifies the codes and reserves them: later requests do not invalidate them, and all other
    /// requests of the user end.
    ///
    /// # Errors
    /// [`Error::InvalidCode`], [`Error::Throttled`], and database errors.
    pub(crate) async fn verify_email_change(
        &self,
        user: Gid,
        email: &str,
        typed: CodePair,
        from: &ClientContext,
    ) -> Result<(), Error> {
        let canonical = Email::parse(email)
            .map_err(|_| Error::InvalidCode)?
            .canonical();
        let attempt = CodeAttempt {
            purpose: Purpose::EmailChange,
            codes: typed,
            binding: vec![user.to_string(), canonical],
        };
        let code = self.verify_codes(attempt, Some(user), from).await?;
        let begin = move |connection: &mut AnyConnection| codes::begin(connection, &code);
        if self.database.write(begin).await? {
            Ok(())
        } else {
            Err(Error::InvalidCode)
        }
    }

    /// Uses up the code after the directory has stored the address.
    ///
    /// # Errors
    /// [`Error::InvalidCode`] if the code was used up meanwhile, and database errors.
    pub(crate) async fn complete_email_change(
        &self,
        user: Gid,
        validation: String,
        from: &ClientContext,
    ) -> Result<(), Error> {
        let clock = self.clock.clone();
        let entry = Entry::new(
            Action::EmailChanged,
            Some(user),
            &from.origin.with_user(user),
        );
        self.database
            .write(move |connection| {
                use_up(connection, Purpose::EmailChange, &validation)?;
                audit::record(connection, entry, clock.now())
            })
            .await
    }
}
