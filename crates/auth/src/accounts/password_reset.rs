//! A new password for who has forgotten theirs.

use doorward_domain::Email;
use doorward_mail::MailContent;

use crate::{
    Error, Password,
    accounts::{
        Accounts, ClientContext, UserInfo,
        codes::{self, CodePair, Purpose},
        login_after_revocation, use_up,
    },
    audit::{Action, Entry},
    passwords::credentials::Replacement,
    store,
    throttle::{Bucket, ClientNetwork},
};

impl Accounts {
    /// Mails one code, which is good for any one of these users.
    ///
    /// # Errors
    /// [`Error::UserNotFound`], [`Error::Throttled`], [`Error::MailDisabled`], and those of the database.
    pub(crate) async fn request_password_reset(
        &self,
        users: Vec<UserInfo>,
        from: &ClientContext,
    ) -> Result<String, Error> {
        self.outbox()?;
        let mailbox = users
            .iter()
            .find_map(|user| user.email.clone().map(|email| (user, email)));
        let accounts = users.iter().map(|user| user.gid).collect();
        let to = mailbox.as_ref().map(|(_, email)| email.clone());
        let is_known_place = self.count_reset_mails(accounts, to, from).await?;
        let (first, email) = mailbox.ok_or(Error::UserNotFound)?;
        let gids: Vec<String> = users.iter().map(|user| user.gid.to_string()).collect();
        let folded = email.canonical();
        let subject = match gids.as_slice() {
            [only] => only.clone(),
            _ => codes::sha256_base64(&folded),
        };
        // What was mailed to an address that the user has no more is worth nothing.
        let each: Vec<[&str; 2]> = gids.iter().map(|gid| [gid.as_str(), &folded]).collect();
        let bindings: Vec<&[&str]> = each.iter().map(<[&str; 2]>::as_slice).collect();
        let (mut code, pair) =
            self.codes
                .create(Purpose::Reset, subject, &bindings, self.clock.now())?;
        code.is_from_known_network = is_known_place;
        let usernames = users.iter().map(|user| user.username.clone()).collect();
        let letter = MailContent::ResetCode {
            code: pair.verification_code,
            usernames,
        };
        let mail = first.new_mail(self.ids.new_gid(), email, letter);
        let entry = Entry::new(
            Action::PasswordResetRequested,
            Some(first.gid),
            &from.origin,
        );
        self.store_and_mail_code(code, mail, entry).await?;
        Ok(pair.validation_code)
    }

    /// Sets the password, uses up the code and ends every earlier token, all at once; gives the one token that works.
    ///
    /// # Errors
    /// [`Error::InvalidCode`], those of the password, and those of the database.
    pub(crate) async fn reset_password(
        &self,
        user: UserInfo,
        password: &str,
        typed: CodePair,
        from: &ClientContext,
    ) -> Result<String, Error> {
        let email = user
            .email
            .as_ref()
            .map(Email::canonical)
            .unwrap_or_default();
        let binding = vec![user.gid.to_string(), email];
        let validation = typed.validation_code.clone();
        // First of all: who has no code learns nothing about what would be a good password for this user.
        self.verify_codes(Purpose::Reset, typed, binding, (Some(user.gid), from))
            .await?;
        let password = Password::parse(password)?;
        self.credentials
            .check_new_password(password.clone(), user.password_inputs())
            .await?;
        let hash = self.credentials.hash(password).await?;
        let replacement = Replacement {
            user: user.gid,
            hash,
            action: Action::PasswordReset,
        };
        let (origin, notice, email) = (
            from.origin.with_user(user.gid),
            self.password_changed_mail(&user),
            user.email.clone(),
        );
        let place = ClientNetwork::from_address(from.client_address);
        let name = Bucket::for_username(&user.username, &self.config.throttle);
        let name_here =
            Bucket::for_username_at_network(&user.username, &place, &self.config.throttle);
        let (clock, lifetime) = (self.clock.clone(), self.config.token_lifetime);
        let login = self
            .database
            .write(move |connection| {
                store::trust_version::increment(connection)?;
                use_up(connection, Purpose::Reset, &validation)?;
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
                // It is a login: those who failed with this name don't keep its user out.
                store::throttle::delete(connection, &name.key)?;
                store::throttle::delete(connection, &name_here.key)?;
                store::known_network::upsert(connection, user.gid, place.as_str(), now)?;
                notice.enqueue(connection, now)?;
                login_after_revocation(connection, user.gid, now)
            })
            .await?;
        self.issue_after_password_change(&login).await
    }
}
