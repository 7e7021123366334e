//! The services that calls about accounts need, and the steps that several of them share.

use std::{net::IpAddr, sync::Arc};

use doorward_domain::{Clock, Email, Gid, IdGenerator, Timestamp};
use doorward_mail::{MailContent, NewMail, Outbox};
use doorward_storage::{AnyConnection, Database};
use doorward_token::TokenKind;

use crate::{
    accounts::codes::{self, CodeAttempt, Codes},
    audit,
    config::Config,
    error::Error,
    login::logins::Logins,
    model::{Action, Code, Entry, Origin, Purpose, RevocationTarget},
    passwords::{credentials::Credentials, strength::UserInputs},
    store,
    throttle::{self, Bucket, ClientNetwork},
    tokens::{
        issue::{Tokens, VerifiedLogin},
        trust_store::TrustStore,
    },
};

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
    pub(super) fn password_inputs(&self) -> UserInputs {
        UserInputs::new(&[
            &self.username,
            self.email.as_ref().map_or("", Email::as_str),
            &self.name,
        ])
    }

    pub(super) fn new_mail(&self, id: Gid, to: Email, content: MailContent) -> NewMail {
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
    pub(super) fn outbox(&self) -> Result<Outbox, Error> {
        self.outbox.clone().ok_or(Error::MailDisabled)
    }

    /// Stores a new code, its mail and the audit record in one transaction.
    ///
    /// # Errors
    /// [`Error::Throttled`], [`Error::MailDisabled`], and database errors.
    pub(super) async fn store_and_mail_code(
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
    pub(super) async fn verify_codes(
        &self,
        attempt: CodeAttempt,
        user: Option<Gid>,
        from: &ClientContext,
    ) -> Result<Code, Error> {
        let codes = self.codes.clone();
        let clock = self.clock.clone();
        let config = self.config.clone();
        let bucket = Bucket::for_wrong_codes(
            &ClientNetwork::from_address(from.client_address),
            &config.throttle,
        );
        let entry = Entry::new(Action::CodeRejected, user, &from.origin)
            .with_detail(attempt.purpose.as_str());
        self.database
            .write(move |connection| {
                let now = clock.now();
                if let Some(code) = codes.verify(connection, &attempt, now)? {
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
}

/// Returns the login of a user whose password was just stored, dated after the newest revocation of
/// the user. A caller that revokes tokens calls this after that, in the same transaction.
pub(super) fn login_after_revocation(
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
pub(super) fn use_up(
    connection: &mut AnyConnection,
    purpose: Purpose,
    validation_code: &str,
) -> Result<Code, Error> {
    codes::use_up(connection, purpose, validation_code)?.ok_or(Error::InvalidCode)
}
