//! Logins: throttled, checked, counted, written down, and given a token.

use std::{net::IpAddr, sync::Arc};

use doorward_domain::{Clock, Gid, Timestamp};
use doorward_storage::{AnyConnection, Database};
use doorward_token::TokenKind;
use tokio::sync::Semaphore;
use tracing::Instrument;

use crate::{
    ApiKeys, Config, Credentials, Error,
    audit::{self, Action, Entry, Origin},
    login::admission::Admission,
    passwords::credentials::VerifiedPassword,
    store,
    throttle::{self, ClientAuthenticator, ClientNetwork},
    tokens::{
        issue::{Tokens, VerifiedLogin},
        revocation::Revocation,
    },
};

/// Looked up when there is no user, so that both take the same steps.
pub(crate) const NOBODY: Gid = Gid::NIL;

pub(crate) struct Logins {
    pub(crate) database: Database,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) config: Arc<Config>,
    pub(crate) credentials: Credentials,
    pub(crate) api_keys: ApiKeys,
    pub(crate) tokens: Arc<Tokens>,
    pub(crate) in_flight: Arc<ClientAuthenticator>,
    /// How many may wait at the gate.
    pub(crate) waiting_slots: Semaphore,
}

/// A login with a password.
pub(crate) struct Attempt {
    /// None when nobody has that name.
    pub(crate) user: Option<Gid>,
    pub(crate) is_login_allowed: bool,
    /// As the directory normalised it.
    pub(crate) username: String,
    pub(crate) password: String,
    /// When the directory said that the user may log in.
    pub(crate) checked_at: Timestamp,
    pub(crate) project: Option<Gid>,
    pub(crate) address: IpAddr,
    pub(crate) origin: Origin,
}

impl Logins {
    /// Goes on to its end also when whoever asks goes away: what was hashed is counted.
    ///
    /// # Errors
    /// [`Error::UnknownUser`], [`Error::Throttled`], [`Error::HashQueueFull`], and those of the database.
    pub(crate) async fn log_in_with_password(
        self: Arc<Self>,
        attempt: Attempt,
    ) -> Result<String, Error> {
        let work = async move { self.verify_password(attempt).await };
        let done = tokio::spawn(work.in_current_span()).await;
        done.map_err(|_| Error::Internal("a login ended early"))?
    }

    /// Whether it is the user's password: throttled and counted as a login, but for the token.
    ///
    /// # Errors
    /// As [`by_password`](Self::by_password).
    pub(crate) async fn verify_current_password(
        self: Arc<Self>,
        attempt: Attempt,
    ) -> Result<(), Error> {
        let work = async move {
            let admitted = self
                .admit(&attempt, &ClientNetwork::from_address(attempt.address))
                .await?;
            if self
                .credentials
                .verify(
                    attempt.user,
                    admitted.password_hash.clone(),
                    &attempt.password,
                )
                .await?
                .is_some()
            {
                return Ok(());
            }
            self.record_failure(&attempt, Some(admitted)).await?;
            Err(Error::UnknownUser)
        };
        let done = tokio::spawn(work.in_current_span()).await;
        done.map_err(|_| Error::Internal("a password's check ended early"))?
    }

    async fn verify_password(&self, attempt: Attempt) -> Result<String, Error> {
        let place = ClientNetwork::from_address(attempt.address);
        let admitted = self.admit(&attempt, &place).await?;
        let user = attempt.user.filter(|_| attempt.is_login_allowed);
        let mut hash = admitted.password_hash.clone().filter(|_| user.is_some());
        // A second time when the hash was replaced by another of the same password meanwhile, as two logins at once do with
        // one that is outdated.
        for _ in 0..2 {
            let Some(verified) = self
                .credentials
                .verify(user, hash, &attempt.password)
                .await?
            else {
                self.record_failure(&attempt, Some(admitted)).await?;
                return Err(Error::UnknownUser);
            };
            match self
                .record_success(&attempt, &admitted, &place, verified)
                .await?
            {
                Outcome::VerifiedLogin(login) => return self.tokens.issue(&login),
                Outcome::Revoked => break,
                Outcome::HashReplaced(by) => hash = by,
            }
        }
        // The password was right when it was looked at: no failure to count.
        self.record_failure(&attempt, None).await?;
        Err(Error::UnknownUser)
    }

    async fn record_success(
        &self,
        attempt: &Attempt,
        admitted: &Admission,
        place: &ClientNetwork,
        verified: VerifiedPassword,
    ) -> Result<Outcome, Error> {
        let VerifiedPassword { user, hash } = verified;
        let now = self.clock.now();
        let is_address_due = throttle::needs_login_update(admitted.last_login_at, now);
        let stale_count = admitted
            .has_username_failures
            .then(|| admitted.username_bucket.key.clone());
        let entry = Entry::new(
            Action::VerifiedLogin,
            Some(user),
            &attempt.origin.with_user(user),
        )
        .with_project(attempt.project);
        let (place, begun) = (place.clone(), attempt.checked_at);
        let write = move |connection: &mut AnyConnection| {
            let (stored, revocation) = store::revocation::find_with_hash(connection, user)?;
            if is_revoked_since(revocation.as_ref(), begun) {
                return Ok::<_, Error>(Outcome::Revoked);
            }
            if stored.as_ref() != Some(&hash) {
                return Ok(Outcome::HashReplaced(stored));
            }
            if let Some(bucket) = stale_count {
                store::throttle::delete(connection, &bucket)?;
            }
            if is_address_due {
                store::known_network::upsert(connection, user, place.as_str(), now)?;
            }
            audit::record(connection, entry, now)?;
            let kind = (TokenKind::User, None);
            Ok(Outcome::VerifiedLogin(VerifiedLogin {
                subject: user,
                kind,
                logged_in_at: begun,
                not_before: not_before(revocation),
            }))
        };
        // An answer doesn't wait for the disk: a power cut can take the last lines of good logins from the audit trail.
        self.database.write_without_fsync(write).await
    }

    /// Counted against whom it was admitted by.
    async fn record_failure(
        &self,
        attempt: &Attempt,
        admitted: Option<Admission>,
    ) -> Result<(), Error> {
        let (config, clock) = (self.config.clone(), self.clock.clone());
        let entry = Entry::new(Action::LoginFailed, attempt.user, &attempt.origin)
            .with_project(attempt.project);
        let (permit, buckets) = admitted.map_or((None, None), |admitted| {
            let Admission {
                permit,
                network_bucket: address,
                username_bucket: name,
                ..
            } = admitted;
            (Some(permit), Some((address, name)))
        });
        let write = move |connection: &mut AnyConnection| {
            let now = clock.now();
            if let Some((address, name)) = &buckets {
                throttle::count_failure(connection, &[address, name], &config.throttle, now)?;
            }
            audit::record(connection, entry, now)
        };
        let done = self.database.write(write).await;
        // The next is let through when this one is counted.
        if let Some(permit) = permit {
            permit.release_counted();
        }
        done
    }
}

/// What became of a login whose password was right.
enum Outcome {
    VerifiedLogin(VerifiedLogin),
    /// What it would have given is dead by now.
    Revoked,
    /// Another hash is stored by now.
    HashReplaced(Option<String>),
}

/// Whatever was revoked since a login began covers it too.
pub(crate) fn is_revoked_since(revocation: Option<&Revocation>, begun: Timestamp) -> bool {
    revocation.is_some_and(|revocation| revocation.revoked_at >= begun)
}

pub(crate) fn not_before(revocation: Option<Revocation>) -> i64 {
    revocation.map_or(i64::MIN, |revocation| revocation.not_before_seconds)
}
