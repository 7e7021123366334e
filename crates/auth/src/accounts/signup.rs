//! Signing up. The first step answers alike whether or not somebody has the address: the same work, and a mail.

use doorward_domain::{Email, Gid};
use doorward_mail::{MailContent, NewMail};
use doorward_storage::AnyConnection;

use crate::{
    Error, Password,
    accounts::{
        Accounts, ClientContext, UserInfo,
        codes::{self, CodePair, PendingSignup, Purpose},
        login_after_revocation, use_up,
    },
    audit::{self, Action, Entry},
    passwords::strength::UserInputs,
    store,
    throttle::ClientNetwork,
};

pub(crate) struct SignupRequest {
    /// As the directory normalised it.
    pub(crate) username: String,
    pub(crate) password: String,
    pub(crate) email: String,
    /// The accounts that have this address.
    pub(crate) existing_accounts: Vec<UserInfo>,
    /// Of the mail.
    pub(crate) language: String,
}

/// What the second step brings.
pub(crate) struct SignupConfirmation {
    pub(crate) username: String,
    pub(crate) password: String,
    pub(crate) email: String,
    pub(crate) codes: CodePair,
}

impl Accounts {
    /// Mails a code, or that there is an account already. Gives the validation code either way.
    ///
    /// # Errors
    /// Those of the password, [`Error::EmailInvalid`], [`Error::Throttled`], [`Error::MailDisabled`], and those of the database.
    pub(crate) async fn request_signup(
        &self,
        request: SignupRequest,
        from: &ClientContext,
    ) -> Result<String, Error> {
        self.outbox()?;
        // First of all: to look at a password costs something.
        self.count_anonymous_call(from).await?;
        let hints = UserInputs::new(&[&request.username, request.email.trim()]);
        let password = Password::parse(&request.password)?;
        self.credentials
            .check_new_password(password.clone(), hints)
            .await?;
        let email = Email::parse(&request.email).map_err(|_| Error::EmailInvalid)?;
        self.count_signup_mail(email.clone(), from).await?;
        let password_hash = self.credentials.hash(password).await?;
        let (folded, now) = (email.canonical(), self.clock.now());
        let binding: &[&str] = &[&request.username, &folded];
        let is_known = !request.existing_accounts.is_empty();
        // What nobody will get a code for, no code fits.
        let bindings: &[&[&str]] = if is_known { &[] } else { &[binding] };
        let (mut code, pair) = self.codes.create(
            Purpose::PendingSignup,
            codes::sha256_base64(&folded),
            bindings,
            now,
        )?;
        code.signup = Some(PendingSignup {
            gid: self.ids.new_gid(),
            password_hash,
        });
        let mut usernames: Vec<String> = request
            .existing_accounts
            .iter()
            .map(|owner| owner.username.clone())
            .collect();
        usernames.sort();
        let letter = if is_known {
            MailContent::AccountExists { usernames }
        } else {
            MailContent::SignupCode {
                code: pair.verification_code,
            }
        };
        let language = request
            .existing_accounts
            .first()
            .map_or(request.language, |owner| owner.language.clone());
        let (id, user) = (
            self.ids.new_gid(),
            request.existing_accounts.first().map(|owner| owner.gid),
        );
        let mail = NewMail {
            id,
            recipient: email,
            language,
            content: letter,
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

    /// The name by which the directory knows this signup again. The code is not used up yet: a crash between this and the end
    /// leaves something that the same call once more completes.
    ///
    /// # Errors
    /// [`Error::InvalidCode`], [`Error::HashQueueFull`], and those of the database.
    pub(crate) async fn verify_signup(
        &self,
        signup: SignupConfirmation,
        from: &ClientContext,
    ) -> Result<Gid, Error> {
        let folded = Email::parse(&signup.email)
            .map_err(|_| Error::InvalidCode)?
            .canonical();
        let binding = vec![signup.username, folded];
        let code = self
            .verify_codes(Purpose::PendingSignup, signup.codes, binding, (None, from))
            .await?;
        let Some(begun) = &code.signup else {
            return Err(Error::Internal("a signup's code without its signup"));
        };
        let (gid, hash) = (begun.gid, begun.password_hash.clone());
        if self
            .credentials
            .verify(Some(gid), Some(hash), &signup.password)
            .await?
            .is_some()
        {
            // Without this, a client that knows the address could ask for codes now, and leave an account without a password.
            let begin = move |connection: &mut AnyConnection| codes::begin(connection, &code);
            return if self.database.write(begin).await? {
                Ok(gid)
            } else {
                Err(Error::InvalidCode)
            };
        }
        self.database
            .write(move |connection| codes::count_failed_attempt(connection, &code))
            .await?;
        Err(Error::InvalidCode)
    }

    /// Gives the account that was made its password, and uses up the code: both or neither.
    ///
    /// # Errors
    /// [`Error::InvalidCode`] when it is used up by now, and those of the database.
    pub(crate) async fn complete_signup(
        &self,
        validation: String,
        user: Gid,
        from: &ClientContext,
    ) -> Result<String, Error> {
        let clock = self.clock.clone();
        let entry = Entry::new(
            Action::PendingSignup,
            Some(user),
            &from.origin.with_user(user),
        );
        let place = ClientNetwork::from_address(from.client_address);
        let login = self
            .database
            .write(move |connection| {
                let now = clock.now();
                let signup = use_up(connection, Purpose::PendingSignup, &validation)?.signup;
                let signup = signup.ok_or(Error::Internal("a signup's code without its signup"))?;
                store::credential::upsert(connection, user, signup.password_hash, now)?;
                store::known_network::upsert(connection, user, place.as_str(), now)?;
                audit::record(connection, entry, now)?;
                login_after_revocation(connection, user, now)
            })
            .await?;
        self.tokens.issue(&login)
    }
}
