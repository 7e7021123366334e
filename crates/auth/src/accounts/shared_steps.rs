//! Steps that several calls about accounts share: mail a code, verify codes, and use them up.

use doorward_domain::{Gid, Timestamp};
use doorward_mail::{NewMail, Outbox};
use doorward_storage::AnyConnection;
use doorward_token::TokenKind;

use crate::{
    accounts::{
        account_rules::Accounts,
        client_context::ClientContext,
        codes::{self, CodeAttempt},
    },
    audit,
    error::Error,
    model::{Action, Code, Entry, Purpose, RevocationTarget},
    store,
    throttle::{self, Bucket, ClientNetwork},
    tokens::issue::VerifiedLogin,
};

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
