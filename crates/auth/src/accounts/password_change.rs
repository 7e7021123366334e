//! Change of the password by a user who is logged in, and the steps that a reset shares with it:
//! the mail about the change, and the new token.

use doorward_domain::{Email, Timestamp};
use doorward_mail::{MailContent, NewMail, Outbox};
use doorward_storage::AnyConnection;

use crate::{
    accounts::{
        account_rules::Accounts, client_context::ClientContext,
        shared_steps::login_after_revocation, user_info::UserInfo,
    },
    error::Error,
    login::attempt::PasswordAttempt,
    model::{Action, Purpose},
    passwords::{credentials::Replacement, password::Password, strength::UserInputs},
    sha256::sha256_base64,
    store,
    tokens::issue::VerifiedLogin,
};

/// A request to change the password.
pub(crate) struct NewPassword {
    pub(crate) user: UserInfo,
    /// More words that the password must not be made of, such as a name that the same call sets.
    pub(crate) user_inputs: Vec<String>,
    /// The current password.
    pub(crate) current: Option<String>,
    /// None if only the current password is verified.
    pub(crate) password: Option<String>,
    /// Whether the new password is only checked and not stored.
    pub(crate) validate_only: bool,
}

/// The mail that informs the user about a new password, if mails are sent and the user has an
/// address.
pub(crate) struct PasswordChangedMail(Option<(Outbox, NewMail)>);

impl PasswordChangedMail {
    pub(crate) fn enqueue(
        self,
        connection: &mut AnyConnection,
        now: Timestamp,
    ) -> Result<(), Error> {
        self.0.map_or(Ok(()), |(outbox, mail)| {
            Ok(outbox.enqueue(connection, mail, now)?)
        })
    }
}

impl Accounts {
    /// Changes the password, revokes all earlier tokens of the user and returns a new one. Returns
    /// None if nothing was stored.
    ///
    /// # Errors
    /// [`Error::CurrentPasswordMissing`], [`Error::CurrentPasswordWrong`], the errors of the rules
    /// for passwords, [`Error::Throttled`], [`Error::HashQueueFull`], and database errors.
    pub(crate) async fn change_password(
        &self,
        new: NewPassword,
        from: &ClientContext,
    ) -> Result<Option<String>, Error> {
        let user = new.user;
        match new.current {
            Some(current) => self.verify_current_password(&user, current, from).await?,
            None if self.config.requires_current_password && new.password.is_some() => {
                return Err(Error::CurrentPasswordMissing);
            }
            None => {}
        }
        let Some(password) = new.password else {
            return Ok(None);
        };
        let password = Password::parse(&password)?;
        let mut user_inputs: Vec<&str> = new.user_inputs.iter().map(String::as_str).collect();
        user_inputs.extend([
            user.username.as_str(),
            user.email.as_ref().map_or("", Email::as_str),
            &user.name,
        ]);
        self.credentials
            .check_new_password(password.clone(), UserInputs::new(&user_inputs))
            .await?;
        if new.validate_only {
            return Ok(None);
        }
        let hash = self.credentials.hash(password).await?;
        let replacement = Replacement {
            user: user.gid,
            hash,
            action: Action::PasswordChanged,
        };
        let origin = from.origin.with_user(user.gid);
        let mail = self.password_changed_mail(&user);
        let email = user.email;
        let clock = self.clock.clone();
        let lifetime = self.config.token_lifetime;
        let login = self
            .database
            .write(move |connection| {
                // This takes the lock under which revocations are ordered. The time is taken after
                // it, so that logins that began while this transaction waited are covered too.
                store::trust_version::increment(connection)?;
                let now = clock.now();
                replacement.apply(connection, &origin, lifetime, now)?;
                if let Some(email) = &email {
                    // A reset that is for several accounts with this address has the address as
                    // subject; the others are deleted with the replacement.
                    store::code::delete_for_subject(
                        connection,
                        Purpose::PasswordReset,
                        &sha256_base64(&email.canonical()),
                    )?;
                }
                mail.enqueue(connection, now)?;
                login_after_revocation(connection, user.gid, now)
            })
            .await?;
        self.issue_after_password_change(&login).await.map(Some)
    }

    /// Verifies the current password. The attempt is throttled as a login, so a stolen token does
    /// not help to guess the password.
    async fn verify_current_password(
        &self,
        user: &UserInfo,
        current: String,
        from: &ClientContext,
    ) -> Result<(), Error> {
        let attempt = PasswordAttempt {
            user: Some(user.gid),
            is_login_allowed: true,
            username: user.username.clone(),
            password: current,
            checked_at: self.clock.now(),
            project: None,
            address: from.client_address,
            origin: from.origin.with_user(user.gid),
        };
        match self.logins.clone().verify_current_password(attempt).await {
            Err(Error::UnknownUser) => Err(Error::CurrentPasswordWrong),
            result => result,
        }
    }

    /// Returns the mail about a new password of the user.
    pub(crate) fn password_changed_mail(&self, user: &UserInfo) -> PasswordChangedMail {
        let outbox_and_email = self.outbox.clone().zip(user.email.clone());
        PasswordChangedMail(outbox_and_email.map(|(outbox, email)| {
            let content = MailContent::PasswordChanged {
                username: user.username.clone(),
            };
            (outbox, user.new_mail(self.ids.new_gid(), email, content))
        }))
    }

    /// Issues the token for a login after the password was stored. This process knows the
    /// revocation of the earlier tokens before the caller receives the new one.
    ///
    /// # Errors
    /// [`Error::Internal`] if signing fails, and database errors.
    pub(crate) async fn issue_after_password_change(
        &self,
        login: &VerifiedLogin,
    ) -> Result<String, Error> {
        if let Some(outbox) = &self.outbox {
            outbox.wake_worker();
        }
        self.trust.refresh().await?;
        self.tokens.issue(login)
    }
}
