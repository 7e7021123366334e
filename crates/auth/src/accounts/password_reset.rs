//! Password reset in two steps, for a user who has forgotten the password.

use doorward_domain::Email;
use doorward_mail::MailContent;

use crate::{
    accounts::{
        account_rules::Accounts,
        client_context::ClientContext,
        codes::{CodeAttempt, CodePair},
        shared_steps::{login_after_revocation, use_up},
        user_info::UserInfo,
    },
    error::Error,
    model::{Action, Entry, Purpose},
    passwords::{credentials::Replacement, password::Password},
    sha256::sha256_base64,
    store,
    throttle::{Bucket, ClientNetwork},
};

impl Accounts {
    /// Mails one verification code, which is valid for any one of these users, and returns the
    /// validation code. The users have the same address.
    ///
    /// # Errors
    /// [`Error::UserNotFound`] if there is no user with an address, [`Error::Throttled`],
    /// [`Error::MailDisabled`], and database errors.
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
        // Counted even if no user has an address. Otherwise this call could be used to search for
        // accounts without a limit.
        let to = mailbox.as_ref().map(|(_, email)| email.clone());
        let is_known_network = self.count_reset_mails(accounts, to, from).await?;
        let (first, email) = mailbox.ok_or(Error::UserNotFound)?;
        let gids: Vec<String> = users.iter().map(|user| user.gid.to_string()).collect();
        let canonical = email.canonical();
        let subject = match gids.as_slice() {
            [only] => only.clone(),
            _ => sha256_base64(&canonical),
        };
        // The binding includes the address: a code that was mailed to an address that the user does
        // not have any more is invalid.
        let pairs: Vec<[&str; 2]> = gids.iter().map(|gid| [gid.as_str(), &canonical]).collect();
        let bindings: Vec<&[&str]> = pairs.iter().map(<[&str; 2]>::as_slice).collect();
        let (mut code, pair) =
            self.codes
                .create(Purpose::PasswordReset, subject, &bindings, self.clock.now())?;
        code.is_from_known_network = is_known_network;
        let usernames = users.iter().map(|user| user.username.clone()).collect();
        let content = MailContent::ResetCode {
            code: pair.verification_code,
            usernames,
        };
        let mail = first.new_mail(self.ids.new_gid(), email, content);
        let entry = Entry::new(
            Action::PasswordResetRequested,
            Some(first.gid),
            &from.origin,
        );
        self.store_and_mail_code(code, mail, entry).await?;
        Ok(pair.validation_code)
    }

    /// Stores the password, uses up the code and revokes all earlier tokens of the user in one
    /// transaction. Returns a new token.
    ///
    /// # Errors
    /// [`Error::InvalidCode`], [`Error::Throttled`], the errors of the rules for passwords,
    /// [`Error::HashQueueFull`], and database errors.
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
        let validation = typed.validation_code.clone();
        let attempt = CodeAttempt {
            purpose: Purpose::PasswordReset,
            codes: typed,
            binding: vec![user.gid.to_string(), email],
        };
        // The codes are verified first. The rules for passwords depend on the user's profile, and
        // their errors would reveal it to a client without a code.
        self.verify_codes(attempt, Some(user.gid), from).await?;
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
        let origin = from.origin.with_user(user.gid);
        let mail = self.password_changed_mail(&user);
        let email = user.email.clone();
        let network = ClientNetwork::from_address(from.client_address);
        let anywhere = Bucket::for_username(&user.username, &self.config.throttle);
        let at_network =
            Bucket::for_username_at_network(&user.username, &network, &self.config.throttle);
        let clock = self.clock.clone();
        let lifetime = self.config.token_lifetime;
        let login = self
            .database
            .write(move |connection| {
                // This takes the lock under which revocations are ordered; the time is taken after
                // it.
                store::trust_version::increment(connection)?;
                use_up(connection, Purpose::PasswordReset, &validation)?;
                let now = clock.now();
                replacement.apply(connection, &origin, lifetime, now)?;
                if let Some(email) = &email {
                    // A request for several accounts with this address has the address as subject.
                    store::code::delete_for_subject(
                        connection,
                        Purpose::PasswordReset,
                        &sha256_base64(&email.canonical()),
                    )?;
                }
                // A reset is a login too: earlier failures with this username must not delay its
                // user.
                store::throttle::delete(connection, &anywhere.key)?;
                store::throttle::delete(connection, &at_network.key)?;
                store::known_network::upsert(connection, user.gid, network.as_str(), now)?;
                mail.enqueue(connection, now)?;
                login_after_revocation(connection, user.gid, now)
            })
            .await?;
        self.issue_after_password_change(&login).await
    }
}
