//! What people do with their own access: sign up, set another password, change their address. What takes two steps mails a
//! code in the first.

pub(crate) mod codes;
pub(crate) mod email_change;
mod limits;
pub(crate) mod password_change;
pub(crate) mod password_reset;
mod signup;

use std::{net::IpAddr, sync::Arc};

use doorward_domain::{Clock, Email, Gid, IdGenerator, Timestamp};
use doorward_mail::{MailContent, NewMail, Outbox};
use doorward_storage::{AnyConnection, Database};
use doorward_token::TokenKind;

use crate::{
    Config, Credentials, Error,
    accounts::codes::{Code, CodePair, Codes, Purpose},
    audit::{self, Action, Entry, Origin},
    login::password::Logins,
    passwords::strength::UserInputs,
    store,
    throttle::{self, Bucket, ClientNetwork},
    tokens::{
        issue::{Tokens, VerifiedLogin},
        revocation::{self, RevocationTarget},
        trust_store::TrustStore,
    },
};

pub(crate) use crate::accounts::password_change::NewPassword;
pub(crate) use signup::{SignupConfirmation, SignupRequest};

pub(crate) struct Accounts {
    pub(crate) database: Database,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) ids: Arc<dyn IdGenerator>,
    pub(crate) config: Arc<Config>,
    pub(crate) credentials: Credentials,
    pub(crate) codes: Codes,
    pub(crate) tokens: Arc<Tokens>,
    pub(crate) trust: Arc<TrustStore>,
    pub(crate) logins: Arc<Logins>,
    /// None: no mails are sent.
    pub(crate) outbox: Option<Outbox>,
}

/// A user, as the directory knows them.
#[derive(Debug, Clone)]
pub(crate) struct UserInfo {
    pub(crate) gid: Gid,
    pub(crate) username: String,
    /// To which mails go.
    pub(crate) email: Option<Email>,
    pub(crate) name: String,
    /// Of mails.
    pub(crate) language: String,
}

impl UserInfo {
    fn password_inputs(&self) -> UserInputs {
        UserInputs::new(&[
            &self.username,
            self.email.as_ref().map_or("", Email::as_str),
            &self.name,
        ])
    }

    fn new_mail(&self, id: Gid, to: Email, letter: MailContent) -> NewMail {
        let (language, user) = (self.language.clone(), Some(self.gid));
        NewMail {
            id,
            recipient: to,
            language,
            content: letter,
            topic: None,
            expires_at: None,
            user,
        }
    }
}

/// Where a call comes from.
#[derive(Debug, Clone)]
pub(crate) struct ClientContext {
    pub(crate) client_address: IpAddr,
    pub(crate) origin: Origin,
}

impl Accounts {
    /// # Errors
    /// [`Error::MailDisabled`].
    fn outbox(&self) -> Result<Outbox, Error> {
        self.outbox.clone().ok_or(Error::MailDisabled)
    }

    /// Stores a new code and the mail with it, together.
    ///
    /// # Errors
    /// [`Error::Throttled`], [`Error::MailDisabled`], and database errors.
    async fn store_and_mail_code(
        &self,
        code: Code,
        mail: NewMail,
        entry: Entry,
    ) -> Result<(), Error> {
        let (outbox, clock) = (self.outbox()?, self.clock.clone());
        let put = outbox.clone();
        self.database
            .write(move |connection| {
                let now = clock.now();
                // Each request has a topic of its own: a newer one doesn't replace its mail.
                let topic = |validation: &str| format!("code/{validation}");
                let mail = NewMail {
                    topic: Some(topic(&code.validation_code_hash)),
                    expires_at: Some(code.expires_at),
                    ..mail
                };
                for invalidated in codes::insert(connection, code, now)? {
                    put.cancel(connection, &topic(&invalidated), now)?;
                }
                audit::record(connection, entry, now)?;
                Ok::<_, Error>(put.enqueue(connection, mail, now)?)
            })
            .await?;
        outbox.wake_worker();
        Ok(())
    }

    /// Returns the code, when all that belongs to it is right: however many codes others at the same address got wrong. A
    /// wrong one counts against its request and against the address.
    ///
    /// # Errors
    /// [`Error::InvalidCode`]; [`Error::Throttled`] in place of that during a wait of the address; database errors.
    async fn verify_codes(
        &self,
        purpose: Purpose,
        typed: CodePair,
        binding: Vec<String>,
        (user, from): (Option<Gid>, &ClientContext),
    ) -> Result<Code, Error> {
        let (codes, clock, config) = (self.codes.clone(), self.clock.clone(), self.config.clone());
        let bucket = Bucket::for_wrong_codes(
            &ClientNetwork::from_address(from.client_address),
            &config.throttle,
        );
        let entry =
            Entry::new(Action::InvalidCode, user, &from.origin).with_detail(purpose.as_str());
        self.database
            .write(move |connection| {
                let (binding, now): (Vec<&str>, _) =
                    (binding.iter().map(String::as_str).collect(), clock.now());
                if let Some(code) = codes.verify(connection, purpose, (&typed, &binding), now)? {
                    return Ok::<_, Error>(Ok(code));
                }
                // The inner errors are committed: a wrong try counts for its request also during a wait.
                if let Some(wait) = throttle::find_wait(connection, &bucket, now)? {
                    return Ok(Err(Error::Throttled(wait)));
                }
                throttle::count_failure(connection, &[&bucket], &config.throttle, now)?;
                audit::record(connection, entry, now)?;
                Ok(Err(Error::InvalidCode))
            })
            .await?
    }

    /// What a user deleted in the directory leaves here goes, and their tokens end.
    ///
    /// # Errors
    /// Those of the database.
    pub(crate) async fn delete_user(&self, user: Gid, origin: &Origin) -> Result<(), Error> {
        let (clock, lifetime) = (self.clock.clone(), self.config.token_lifetime);
        let entry = Entry::new(Action::UserDeleted, Some(user), &origin.with_user(user));
        self.database
            .write(move |connection| {
                let now = clock.now();
                revocation::revoke(
                    connection,
                    vec![(RevocationTarget::Subject(user), now)],
                    lifetime,
                )?;
                forget(connection, user, now)?;
                audit::record(connection, entry, now)
            })
            .await?;
        self.trust.refresh().await
    }
}

/// All that is kept of a user, but for what was revoked and written down.
pub(crate) fn forget(
    connection: &mut AnyConnection,
    user: Gid,
    deleted_at: Timestamp,
) -> Result<(), Error> {
    store::credential::delete_older(connection, user, deleted_at)?;
    store::known_network::delete_for_user(connection, user)?;
    store::code::delete_for_user(connection, user)?;
    Ok(store::api_key::delete_older(connection, user, deleted_at)?)
}

/// The first login of a user whose password has just been set: later than what that has ended.
fn login_after_revocation(
    connection: &mut AnyConnection,
    user: Gid,
    now: Timestamp,
) -> Result<VerifiedLogin, Error> {
    let revocation = store::revocation::find(connection, &RevocationTarget::Subject(user))?;
    let not_before = revocation.map_or(i64::MIN, |revocation| revocation.not_before_seconds);
    Ok(VerifiedLogin {
        subject: user,
        kind: (TokenKind::User, None),
        logged_in_at: now,
        not_before,
    })
}

fn use_up(
    connection: &mut AnyConnection,
    purpose: Purpose,
    validation_code: &str,
) -> Result<Code, Error> {
    codes::use_up(connection, purpose, validation_code)?.ok_or(Error::InvalidCode)
}
