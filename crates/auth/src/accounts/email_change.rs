//! Another email address. The directory has it; here it is proved.

use doorward_domain::{Email, Gid};
use doorward_mail::MailContent;
use doorward_storage::AnyConnection;

use crate::{
    Error,
    accounts::{
        Accounts, ClientContext, UserInfo,
        codes::{self, CodePair, Purpose},
        use_up,
    },
    audit::{self, Action, Entry},
};

impl Accounts {
    /// Mails a code to the new address.
    ///
    /// # Errors
    /// [`Error::EmailInvalid`], [`Error::Throttled`], [`Error::MailDisabled`], and those of the database.
    pub(crate) async fn request_email_change(
        &self,
        user: UserInfo,
        email: &str,
        from: &ClientContext,
    ) -> Result<String, Error> {
        self.outbox()?;
        let email = Email::parse(email).map_err(|_| Error::EmailInvalid)?;
        let is_known_place = self
            .count_email_change_mail(user.gid, email.clone(), from)
            .await?;
        let (gid, folded) = (user.gid.to_string(), email.canonical());
        let (mut code, pair) = self.codes.create(
            Purpose::Email,
            gid.clone(),
            &[&[&gid, &folded]],
            self.clock.now(),
        )?;
        code.is_from_known_network = is_known_place;
        let letter = MailContent::EmailCode {
            code: pair.verification_code,
            username: user.username.clone(),
        };
        let mail = user.new_mail(self.ids.new_gid(), email, letter);
        let entry = Entry::new(
            Action::EmailChangeRequested,
            Some(user.gid),
            &from.origin.with_user(user.gid),
        );
        self.store_and_mail_code(code, mail, entry).await?;
        Ok(pair.validation_code)
    }

    /// Checks the codes. From here on no later request invalidates them, and earlier ones end.
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
        let folded = Email::parse(email)
            .map_err(|_| Error::InvalidCode)?
            .canonical();
        let binding = vec![user.to_string(), folded];
        let code = self
            .verify_codes(Purpose::Email, typed, binding, (Some(user), from))
            .await?;
        let begin = move |connection: &mut AnyConnection| codes::begin(connection, &code);
        if self.database.write(begin).await? {
            Ok(())
        } else {
            Err(Error::InvalidCode)
        }
    }

    /// Uses up the code, after the directory has the address.
    ///
    /// # Errors
    /// [`Error::InvalidCode`] when it is used up by now, and those of the database.
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
                use_up(connection, Purpose::Email, &validation)?;
                audit::record(connection, entry, clock.now())
            })
            .await
    }
}
