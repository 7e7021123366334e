//! A new password for who has forgotten theirs.

use doorward_domain::Email;
use doorward_mail::MailContent;

use crate::{
    Error, Password,
    accounts::{Accounts, ClientContext, UserInfo, login_after, use_up},
    audit::{Action, Entry},
    codes::{self, CodePair, Purpose},
    credentials::Replacement,
    store,
    throttle::{Bucket, ClientNetwork},
};

impl Accounts {
    /// Mails one code, which is good for any one of these users.
    ///
    /// # Errors
    /// [`Error::UserNotFound`], [`Error::Throttled`], [`Error::MailDisabled`], and those of the database.
    pub(crate) async fn request_reset(&self, users: Vec<UserInfo>, from: &ClientContext) -> Result<String, Error> {
        self.outbox()?;
        let mailbox = users.iter().find_map(|user| user.email.clone().map(|email| (user, email)));
        let accounts = users.iter().map(|user| user.gid).collect();
        let to = mailbox.as_ref().map(|(_, email)| email.clone());
        let is_known_place = self.count_reset(accounts, to, from).await?;
        let (first, email) = mailbox.ok_or(Error::UserNotFound)?;
        let gids: Vec<String> = users.iter().map(|user| user.gid.to_string()).collect();
        let folded = email.folded();
        let subject = match gids.as_slice() {
            [only] => only.clone(),
            _ => codes::hashed(&folded),
        };
        // What was mailed to an address that the user has no more is worth nothing.
        let each: Vec<[&str; 2]> = gids.iter().map(|gid| [gid.as_str(), &folded]).collect();
        let bindings: Vec<&[&str]> = each.iter().map(<[&str; 2]>::as_slice).collect();
        let (mut code, pair) = self.codes.make(Purpose::Reset, subject, &bindings, self.clock.now())?;
        code.from_known_network = is_known_place;
        let usernames = users.iter().map(|user| user.username.clone()).collect();
        let letter = MailContent::ResetCode { code: pair.verification, usernames };
        let mail = first.mail(self.ids.gid(), email, letter);
        let entry = Entry::new(Action::PasswordResetRequested, Some(first.gid), &from.origin);
        self.send(code, mail, entry).await?;
        Ok(pair.validation)
    }

    /// Sets the password, uses up the code and ends every earlier token, all at once; gives the one token that works.
    ///
    /// # Errors
    /// [`Error::InvalidCode`], those of the password, and those of the database.
    pub(crate) async fn reset(
        &self,
        user: UserInfo,
        password: &str,
        typed: CodePair,
        from: &ClientContext,
    ) -> Result<String, Error> {
        let email = user.email.as_ref().map(Email::folded).unwrap_or_default();
        let binding = vec![user.gid.to_string(), email];
        let validation = typed.validation.clone();
        // First of all: who has no code learns nothing about what would be a good password for this user.
        self.check(Purpose::Reset, typed, binding, (Some(user.gid), from)).await?;
        let password = Password::parse(password)?;
        self.credentials.check_new(password.clone(), user.hints()).await?;
        let hash = self.credentials.hash(password).await?;
        let replacement = Replacement { user: user.gid, hash, action: Action::PasswordReset };
        let (origin, notice, email) = (from.origin.by(user.gid), self.notice(&user), user.email.clone());
        let place = ClientNetwork::of(from.address);
        let name = Bucket::of_name(&user.username, &self.config.throttle);
        let name_here = Bucket::of_name_at(&user.username, &place, &self.config.throttle);
        let (clock, lifetime) = (self.clock.clone(), self.config.lifetime);
        let login = self
            .database
            .write(move |connection| {
                store::trust_head::next_version(connection)?;
                use_up(connection, Purpose::Reset, &validation)?;
                let now = clock.now();
                replacement.put(connection, &origin, lifetime, now)?;
                if let Some(email) = &email {
                    // That which is for several accounts of one address.
                    store::code::delete_of(connection, Purpose::Reset, &codes::hashed(&email.folded()))?;
                }
                // It is a login: those who failed with this name don't keep its user out.
                store::throttle::clear(connection, &name.key)?;
                store::throttle::clear(connection, &name_here.key)?;
                store::known_address::put(connection, user.gid, place.as_str(), now)?;
                notice.put(connection, now)?;
                login_after(connection, user.gid, now)
            })
            .await?;
        self.after_replacement(&login).await
    }
}
