//! Another password, by who is logged in; and what every new password brings about.

use doorward_domain::{Email, Timestamp};
use doorward_mail::{MailContent, NewMail, Outbox};
use doorward_storage::AnyConnection;

use crate::{
    Error, Password,
    accounts::{
        Accounts, ClientContext, UserInfo,
        codes::{self, Purpose},
        login_after_revocation,
    },
    audit::Action,
    login::password::Attempt,
    passwords::{credentials::Replacement, strength::UserInputs},
    store,
    tokens::issue::VerifiedLogin,
};

pub(crate) struct NewPassword {
    pub(crate) user: UserInfo,
    /// What else no password may be made of, such as a name that is being set.
    pub(crate) user_inputs: Vec<String>,
    pub(crate) current: Option<String>,
    /// None: the current one is checked, and that is all.
    pub(crate) password: Option<String>,
    pub(crate) validate_only: bool,
}

/// A mail that tells of a new password, where mails are sent and there is an address.
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
    /// Sets the password and ends every earlier token; gives the one that works. None when it was to be checked only.
    ///
    /// # Errors
    /// Those of the password and of the current one, [`Error::Throttled`], and those of the database.
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
        let mut hints: Vec<&str> = new.user_inputs.iter().map(String::as_str).collect();
        hints.extend([
            user.username.as_str(),
            user.email.as_ref().map_or("", Email::as_str),
            &user.name,
        ]);
        self.credentials
            .check_new_password(password.clone(), UserInputs::new(&hints))
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
        let (origin, notice, email) = (
            from.origin.with_user(user.gid),
            self.password_changed_mail(&user),
            user.email,
        );
        let (clock, lifetime) = (self.clock.clone(), self.config.token_lifetime);
        let login = self
            .database
            .write(move |connection| {
                store::trust_version::increment(connection)?;
                let now = clock.now();
                replacement.apply(connection, &origin, lifetime, now)?;
                if let Some(email) = &email {
                    // That which is for several accounts of one address.
                    store::code::delete_for_subject(
                        connection,
                        Purpose::Reset,
                        &codes::sha256_base64(&email.canonical()),
                    )?;
                }
                notice.enqueue(connection, now)?;
                login_after_revocation(connection, user.gid, now)
            })
            .await?;
        self.issue_after_password_change(&login).await.map(Some)
    }

    /// Throttled together with logins: a stolen token must not help to guess a password.
    async fn verify_current_password(
        &self,
        user: &UserInfo,
        current: String,
        from: &ClientContext,
    ) -> Result<(), Error> {
        let attempt = Attempt {
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
            done => done,
        }
    }

    pub(crate) fn password_changed_mail(&self, user: &UserInfo) -> PasswordChangedMail {
        let to = self.outbox.clone().zip(user.email.clone());
        PasswordChangedMail(to.map(|(outbox, email)| {
            let letter = MailContent::PasswordChanged {
                username: user.username.clone(),
            };
            (outbox, user.new_mail(self.ids.new_gid(), email, letter))
        }))
    }

    /// What was ended is known here before the answer goes out.
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
