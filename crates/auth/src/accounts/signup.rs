//! Signup in two steps. The first step does the same work and sends a mail whether or not an
//! account has the address, so the response does not reveal it. The directory creates the account,
//! between the check of the codes and the end.

use doorward_domain::{Email, Gid};
use doorward_mail::{MailContent, NewMail};
use doorward_storage::AnyConnection;

use crate::{
    accounts::{
        account_rules::Accounts,
        client_context::ClientContext,
        codes::{self, CodeAttempt, CodePair},
        shared_steps::{login_after_revocation, use_up},
        user_info::UserInfo,
    },
    audit,
    error::Error,
    model::{Action, Entry, PendingSignup, Purpose},
    passwords::{password::Password, strength::UserInputs},
    sha256::sha256_base64,
    store,
    throttle::ClientNetwork,
};

/// The first step of a signup.
pub(crate) struct SignupRequest {
    /// Normalized as in the directory.
    pub(crate) username: String,
    pub(crate) password: String,
    pub(crate) email: String,
    /// The accounts that have this address.
    pub(crate) existing_accounts: Vec<UserInfo>,
    /// Language of the mail.
    pub(crate) language: String,
}

/// The second step of a signup.
pub(crate) struct SignupConfirmation {
    pub(crate) username: String,
    pub(crate) password: String,
    pub(crate) email: String,
    pub(crate) codes: CodePair,
}

impl Accounts {
    /// Mails a verification code, or the information that an account exists already. Returns a
    /// validation code in both cases.
    ///
    /// # Errors
    /// The errors of the rules for passwords, [`Error::EmailInvalid`], [`Error::Throttled`],
    /// [`Error::HashQueueFull`], [`Error::MailDisabled`], and database errors.
    pub(crate) async fn request_signup(
        &self,
        request: SignupRequest,
        from: &ClientContext,
    ) -> Result<String, Error> {
        self.outbox()?;
        // Counted first, because the check of a password is expensive.
        self.count_anonymous_call(from).await?;
        let user_inputs = UserInputs::new(&[&request.username, request.email.trim()]);
        let password = Password::parse(&request.password)?;
        self.credentials
            .check_new_password(password.clone(), user_inputs)
            .await?;
        let email = Email::parse(&request.email).map_err(|_| Error::EmailInvalid)?;
        self.count_signup_mail(email.clone(), from).await?;
        let password_hash = self.credentials.hash(password).await?;
        let canonical = email.canonical();
        let now = self.clock.now();
        let binding: &[&str] = &[&request.username, &canonical];
        let is_known = !request.existing_accounts.is_empty();
        // Without a binding, no second step can succeed. An existing account gets no code by mail.
        let bindings: &[&[&str]] = if is_known { &[] } else { &[binding] };
        let (mut code, pair) =
            self.codes
                .create(Purpose::Signup, sha256_base64(&canonical), bindings, now)?;
        code.signup = Some(PendingSignup {
            gid: self.ids.new_gid(),
            password_hash,
        });
        let mut usernames: Vec<String> = request
            .existing_accounts
            .iter()
            .map(|account| account.username.clone())
            .collect();
        usernames.sort();
        let content = if is_known {
            MailContent::AccountExists { usernames }
        } else {
            MailContent::SignupCode {
                code: pair.verification_code,
            }
        };
        let language = request
            .existing_accounts
            .first()
            .map_or(request.language, |account| account.language.clone());
        let user = request.existing_accounts.first().map(|account| account.gid);
        let mail = NewMail {
            id: self.ids.new_gid(),
            recipient: email,
            language,
            content,
            topic: None,
            expires_at: None,
            user,
        };
        self.store_and_mail_code(
            code,
            mail,
            Entry::new(Action::SignupRequested, user, &from.origin),
        )
        .await?;
        Ok(pair.validation_code)
    }

    /// Verifies the codes and the password, reserves the code and returns the id by which the
    /// directory recognizes this signup. The code is not used up yet: after a crash between this
    /// and [`complete_signup`](Self::complete_signup), the same call can be repeated.
    ///
    /// # Errors
    /// [`Error::InvalidCode`], [`Error::Throttled`], [`Error::HashQueueFull`], and database errors.
    pub(crate) async fn verify_signup(
        &self,
        signup: SignupConfirmation,
        from: &ClientContext,
    ) -> Result<Gid, Error> {
        let canonical = Email::parse(&signup.email)
            .map_err(|_| Error::InvalidCode)?
            .canonical();
        let attempt = CodeAttempt {
            purpose: Purpose::Signup,
            codes: signup.codes,
            binding: vec![signup.username, canonical],
        };
        let code = self.verify_codes(attempt, None, from).await?;
        let Some(pending) = &code.signup else {
            return Err(Error::Internal("a code for a signup has no pending signup"));
        };
        let gid = pending.gid;
        let hash = pending.password_hash.clone();
        if self
            .credentials
            .verify(Some(gid), Some(hash), &signup.password)
            .await?
            .is_some()
        {
            // Without the reservation, a client that knows the address could request codes until
            // this one is invalidated. The directory would then have an account without a password.
            let begin = move |connection: &mut AnyConnection| codes::begin(connection, &code);
            return if self.database.write(begin).await? {
                Ok(gid)
            } else {
                Err(Error::InvalidCode)
            };
        }
        // The codes were right, so their check has counted nothing.
        self.database
            .write(move |connection| codes::count_failed_attempt(connection, &code))
            .await?;
        Err(Error::InvalidCode)
    }

    /// Stores the password of the new account and uses up the code, in one transaction. Returns a
    /// token.
    ///
    /// # Errors
    /// [`Error::InvalidCode`] if the code was used up meanwhile, and database errors.
    pub(crate) async fn complete_signup(
        &self,
        validation: String,
        user: Gid,
        from: &ClientContext,
    ) -> Result<String, Error> {
        let clock = self.clock.clone();
        let entry = Entry::new(Action::Signup, Some(user), &from.origin.with_user(user));
        let network = ClientNetwork::from_address(from.client_address);
        let login = self
            .database
            .write(move |connection| {
                let now = clock.now();
                let signup = use_up(connection, Purpose::Signup, &validation)?.signup;
                let signup =
                    signup.ok_or(Error::Internal("a code for a signup has no pending signup"))?;
                store::credential::upsert(connection, user, signup.password_hash, now)?;
                store::known_network::upsert(connection, user, network.as_str(), now)?;
                audit::record(connection, entry, now)?;
                login_after_revocation(connection, user, now)
            })
            .await?;
        self.tokens.issue(&login)
    }
}
