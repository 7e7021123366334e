//! Logins with a password: admission, verification of the hash, and one transaction that stores the
//! outcome. A token is issued only if nothing was revoked and no password was changed meanwhile.

use std::sync::Arc;

use doorward_storage::AnyConnection;
use doorward_token::TokenKind;
use tracing::Instrument;

use crate::{
    audit,
    error::Error,
    login::{
        admission::Admission,
        attempt::{PasswordAttempt, is_revoked_since, not_before},
        logins::Logins,
    },
    model::{Action, Entry},
    passwords::credentials::VerifiedPassword,
    store,
    throttle::{self, ClientNetwork},
    tokens::issue::VerifiedLogin,
};

impl Logins {
    /// Verifies the password and returns a token.
    ///
    /// The attempt runs to its end even if the client disconnects. Otherwise, a client could guess
    /// without being counted by closing the connection after each guess.
    ///
    /// # Errors
    /// [`Error::UnknownUser`], [`Error::Throttled`], [`Error::HashQueueFull`], and database errors.
    pub(crate) async fn log_in_with_password(
        self: Arc<Self>,
        attempt: PasswordAttempt,
    ) -> Result<String, Error> {
        let work = async move { self.verify_password(attempt).await };
        let joined = tokio::spawn(work.in_current_span()).await;
        joined.map_err(|_| Error::Internal("the task of a login was cancelled or panicked"))?
    }

    /// Verifies the current password of a user who is logged in. The attempt is throttled as a
    /// login, and a failure is counted and recorded as one, but there is no token.
    ///
    /// # Errors
    /// The same as [`log_in_with_password`](Self::log_in_with_password).
    pub(crate) async fn verify_current_password(
        self: Arc<Self>,
        attempt: PasswordAttempt,
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
        let joined = tokio::spawn(work.in_current_span()).await;
        joined.map_err(|_| {
            Error::Internal("the task of a password check was cancelled or panicked")
        })?
    }

    async fn verify_password(&self, attempt: PasswordAttempt) -> Result<String, Error> {
        let network = ClientNetwork::from_address(attempt.address);
        let admitted = self.admit(&attempt, &network).await?;
        let user = attempt.user.filter(|_| attempt.is_login_allowed);
        let mut hash = admitted.password_hash.clone().filter(|_| user.is_some());
        // The second round is for a hash that was replaced by a better one of the same password
        // during the first: of two logins at once with an outdated hash, one replaces it.
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
                .record_success(&attempt, &admitted, &network, verified)
                .await?
            {
                Outcome::Accepted(login) => return self.tokens.issue(&login),
                Outcome::Revoked => break,
                Outcome::HashReplaced(by) => hash = by,
            }
        }
        // The password was right when it was verified, so this is recorded, but not counted as a
        // guess.
        self.record_failure(&attempt, None).await?;
        Err(Error::UnknownUser)
    }

    async fn record_success(
        &self,
        attempt: &PasswordAttempt,
        admitted: &Admission,
        network: &ClientNetwork,
        verified: VerifiedPassword,
    ) -> Result<Outcome, Error> {
        let VerifiedPassword { user, hash } = verified;
        let now = self.clock.now();
        let is_network_due = throttle::needs_login_update(admitted.last_login_at, now);
        let stale_count = admitted
            .has_username_failures
            .then(|| admitted.username_bucket.key.clone());
        let entry = Entry::new(Action::Login, Some(user), &attempt.origin.with_user(user))
            .with_project(attempt.project);
        let network = network.clone();
        let checked_at = attempt.checked_at;
        let write = move |connection: &mut AnyConnection| {
            // One query reads both. A change of the password stores a hash and a revocation in one
            // transaction, so this sees either both or neither. If neither, that revocation is
            // later and covers the token by its `auth_time`; ADR 0006 names the one gap.
            let (stored, revocation) = store::revocation::find_with_hash(connection, user)?;
            if is_revoked_since(revocation.as_ref(), checked_at) {
                return Ok::<_, Error>(Outcome::Revoked);
            }
            if stored.as_ref() != Some(&hash) {
                return Ok(Outcome::HashReplaced(stored));
            }
            if let Some(bucket) = stale_count {
                store::throttle::delete(connection, &bucket)?;
            }
            if is_network_due {
                store::known_network::upsert(connection, user, network.as_str(), now)?;
            }
            audit::record(connection, entry, now)?;
            let kind = (TokenKind::User, None);
            Ok(Outcome::Accepted(VerifiedLogin {
                subject: user,
                kind,
                logged_in_at: checked_at,
                not_before: not_before(revocation),
            }))
        };
        // The response does not wait for the disk. After a power failure, the last audit records of
        // successful logins can be missing.
        self.database.write_without_fsync(write).await
    }

    /// Records a failed attempt, and counts it in the buckets by which it was admitted. Without an
    /// admission, nothing is counted.
    async fn record_failure(
        &self,
        attempt: &PasswordAttempt,
        admitted: Option<Admission>,
    ) -> Result<(), Error> {
        let config = self.config.clone();
        let clock = self.clock.clone();
        let entry = Entry::new(Action::LoginFailed, attempt.user, &attempt.origin)
            .with_project(attempt.project);
        let (permit, buckets) = admitted.map_or((None, None), |admitted| {
            let Admission {
                permit,
                network_bucket,
                username_bucket,
                ..
            } = admitted;
            (Some(permit), Some((network_bucket, username_bucket)))
        });
        let write = move |connection: &mut AnyConnection| {
            let now = clock.now();
            if let Some((network, username)) = &buckets {
                let buckets = [network, username];
                throttle::count_failure(connection, &buckets, &config.throttle, now)?;
            }
            audit::record(connection, entry, now)
        };
        let written = self.database.write(write).await;
        // Released after the commit: the next attempt must read a count that includes this failure.
        if let Some(permit) = permit {
            permit.release_counted();
        }
        written
    }
}

/// Outcome of a login with the right password.
enum Outcome {
    Accepted(VerifiedLogin),
    /// The tokens of the user were revoked since the check, so a token would be invalid.
    Revoked,
    /// Another hash is stored by now; None if the user has no password any more.
    HashReplaced(Option<String>),
}
