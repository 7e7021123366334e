//! Calls of users about their own access: signup, password change and reset, change of the email
//! address. A call in two steps mails a code in the first one. Users and their addresses belong to
//! the directory; the caller passes them in.

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

/// The rules of these calls, and the services that they need.
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
    /// None if no mails are sent; then calls that need one are unavailable.
    pub(crate) outbox: Option<Outbox>,
}

/// A user as known to the directory.
#[derive(Debug, Clone)]
pub(crate) struct UserInfo {
    pub(crate) gid: Gid,
    pub(crate) username: String,
    /// Recipient of mails. None if the user has no valid address.
    pub(crate) email: Option<Email>,
    pub(crate) name: String,
    /// Language of mails.
    pub(crate) language: String,
}

impl UserInfo {
    /// Returns the words that a password of this user must not be made of.
    fn password_inputs(&self) -> UserInputs {
        UserInputs::new(&[
            &self.username,
            self.email.as_ref().map_or("", Email::as_str),
            &self.name,
        ])
    }

    fn new_mail(&self, id: Gid, to: Email, content: MailContent) -> NewMail {
        NewMail {
            id,
            recipient: to,
            language: self.language.clone(),
            content,
            topic: None,
            expires_at: None,
            user: Some(self.gid),
        }
    }
}

/// The client of a call.
#[derive(Debug, Clone)]
pub(crate) struct ClientContext {
    pub(crate) client_address: IpAddr,
    pub(crate) origin: Origin,
}

impl Accounts {
    /// Returns the outbox.
    ///
    /// # Errors
    /// [`Error::MailDisabled`] if no mails are sent.
    fn outbox(&self) -> Result<Outbox, Error> {
        self.outbox.clone().ok_or(Error::MailDisabled)
    }

    /// Stores a new code, its mail and the audit record in one transaction.
    ///
    /// # Errors
    /// [`Error::Throttled`], [`Error::MailDisabled`], and database errors.
    async fn store_and_mail_code(
        &self,
        code: Code,
        mail: NewMail,
        entry: Entry,
    ) -> Result<(), Error> {
        let outbox = self.outbox()?;
        let clock = self.clock.clone();
        let queue = outbox.clone();
        self.database
            .write(move |connection| {
                let now = clock.now();
                // Each request has its own topic, so a newer request does not replace its mail.
                let topic = |validation: &str| format!("code/{validation}");
                let mail = NewMail {
                    topic: Some(topic(&code.validation_code_hash)),
                    expires_at: Some(code.expires_at),
                    ..mail
                };
                // A mail that still waits must not be sent with a code that is invalid by now.
                for invalidated in codes::insert(connection, code, now)? {
                    queue.cancel(connection, &topic(&invalidated), now)?;
                }
                audit::record(connection, entry, now)?;
                Ok::<_, Error>(queue.enqueue(connection, mail, now)?)
            })
            .await?;
        outbox.wake_worker();
        Ok(())
    }

    /// Verifies both codes and their binding. A right code is accepted even during a wait, so
    /// others in the same network cannot block it. A wrong one counts for its request and for the
    /// client network.
    ///
    /// # Errors
    /// [`Error::InvalidCode`] if the code is wrong, [`Error::Throttled`] instead during a wait of
    /// the client network, and database errors.
    async fn verify_codes(
        &self,
        purpose: Purpose,
        typed: CodePair,
        binding: Vec<String>,
        (user, from): (Option<Gid>, &ClientContext),
    ) -> Result<Code, Error> {
        let codes = self.codes.clone();
        let clock = self.clock.clone();
        let config = self.config.clone();
        let bucket = Bucket::for_wrong_codes(
            &ClientNetwork::from_address(from.client_address),
            &config.throttle,
        );
        let entry =
            Entry::new(Action::CodeRejected, user, &from.origin).with_detail(purpose.as_str());
        self.database
            .write(move |connection| {
                let binding: Vec<&str> = binding.iter().map(String::as_str).collect();
                let now = clock.now();
                if let Some(code) = codes.verify(connection, purpose, (&typed, &binding), now)? {
                    return Ok::<_, Error>(Ok(code));
                }
                // The inner result is an error that is committed: a failed attempt counts for its
                // request also during a wait.
                if let Some(wait) = throttle::find_wait(connection, &bucket, now)? {
                    return Ok(Err(Error::Throttled(wait)));
                }
                throttle::count_failure(connection, &[&bucket], &config.throttle, now)?;
                audit::record(connection, entry, now)?;
                Ok(Err(Error::InvalidCode))
            })
            .await?
    }

    /// Revokes the tokens of a user who was deleted in the directory, and deletes the user's
    /// secrets. The change feed does the same later; this call makes it immediate, and records who
    /// did it.
    ///
    /// # Errors
    /// Database errors.
    pub(crate) async fn delete_user(&self, user: Gid, origin: &Origin) -> Result<(), Error> {
        let clock = self.clock.clone();
        let lifetime = self.config.token_lifetime;
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

/// Deletes the secrets and known networks of a user. Revocations and audit records stay.
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

/// Returns the login of a user whose password was just stored, dated after the newest revocation of
/// the user. A caller that revokes tokens calls this after that, in the same transaction.
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

/// Uses up a code in the caller's transaction.
///
/// # Errors
/// [`Error::InvalidCode`] if it was used up meanwhile, and database errors.
fn use_up(
    connection: &mut AnyConnection,
    purpose: Purpose,
    validation_code: &str,
) -> Result<Code, Error> {
    codes::use_up(connection, purpose, validation_code)?.ok_or(Error::InvalidCode)
}
