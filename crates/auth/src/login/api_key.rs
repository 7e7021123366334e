//! Logins with an API key. They follow the same steps as logins with a password, but nothing is
//! hashed, and failures are counted by client network only, because there is no username.

use std::net::IpAddr;

use doorward_domain::Gid;
use doorward_storage::AnyConnection;
use doorward_token::TokenKind;

use crate::{
    audit,
    error::Error,
    login::{
        attempt::{ApiKeyAttempt, DUMMY_USER, is_revoked_since, not_before},
        logins::Logins,
    },
    model::{Action, Entry, Origin, RevocationTarget, RowLock},
    store,
    throttle::{self, Bucket, ClientNetwork},
    tokens::issue::VerifiedLogin,
};

impl Logins {
    /// Finds the user of an API key, unless attempts from this client network have to wait. An
    /// unknown key is no failure yet: the caller goes on, and the verification counts it.
    ///
    /// # Errors
    /// [`Error::Throttled`], and database errors.
    pub(crate) async fn find_api_key_user(
        &self,
        text: String,
        address: IpAddr,
        origin: &Origin,
    ) -> Result<Option<Gid>, Error> {
        let bucket =
            Bucket::for_network(&ClientNetwork::from_address(address), &self.config.throttle);
        let key = bucket.key.clone();
        let api_keys = self.api_keys.clone();
        let work = move |connection: &mut AnyConnection| {
            let count = store::throttle::find(connection, &key)?;
            Ok((count, api_keys.find(connection, &text)?))
        };
        let (count, found) = self.database.query(work).await?;
        let entry = Entry::new(Action::ApiLoginThrottled, None, origin);
        self.check_not_blocked(count.as_ref().as_slice(), entry)
            .await?;
        Ok(found.map(|key| key.user))
    }

    /// Verifies an API key and returns a token.
    ///
    /// # Errors
    /// [`Error::UnknownUser`], [`Error::Throttled`], and database errors.
    pub(crate) async fn log_in_with_api_key(
        &self,
        attempt: ApiKeyAttempt,
    ) -> Result<String, Error> {
        match self.record_api_key_success(&attempt).await? {
            Some(login) => self.tokens.issue(&login),
            None => {
                self.record_api_key_failure(attempt).await?;
                Err(Error::UnknownUser)
            }
        }
    }

    async fn record_api_key_success(
        &self,
        attempt: &ApiKeyAttempt,
    ) -> Result<Option<VerifiedLogin>, Error> {
        let project = attempt.project;
        let user = attempt.user;
        let checked_at = attempt.checked_at;
        let text = attempt.api_key.clone();
        let origin = attempt.origin.clone();
        let api_keys = self.api_keys.clone();
        let now = self.clock.now();
        let bucket = Bucket::for_network(
            &ClientNetwork::from_address(attempt.address),
            &self.config.throttle,
        )
        .key;
        let write = move |connection: &mut AnyConnection| {
            let count = store::throttle::find(connection, &bucket)?;
            if let Some(wait) = count.and_then(|count| throttle::wait(&count, now)) {
                return Err(Error::Throttled(wait));
            }
            // The lock is taken once, as strong as needed. Two logins that share the lock and then
            // both upgrade it would deadlock.
            let is_use_due = api_keys
                .find(connection, &text)?
                .is_some_and(|key| key.is_use_due(now));
            let lock = if is_use_due {
                RowLock::ForUpdate
            } else {
                RowLock::Shared
            };
            // A rotation waits for this lock, and takes its time after that, so its revocation
            // covers the token of this login.
            let key = api_keys.find_locked(connection, &text, lock)?;
            let revocation = store::revocation::find(
                connection,
                &RevocationTarget::Subject(user.unwrap_or(DUMMY_USER)),
            )?;
            let key = key.filter(|key| key.project == project && Some(key.user) == user);
            let Some(key) = key.filter(|_| !is_revoked_since(revocation.as_ref(), checked_at))
            else {
                return Ok(None);
            };
            // Checked again under the lock: another login may have recorded its use since.
            if is_use_due && key.is_use_due(now) {
                store::api_key::set_last_used(connection, key.user, now)?;
            }
            let entry = Entry::new(Action::ApiLogin, user, &origin.with_user(key.user))
                .with_project(Some(project));
            audit::record(connection, entry, now)?;
            let kind = (TokenKind::Api, Some(project));
            Ok(Some(VerifiedLogin {
                subject: key.user,
                kind,
                logged_in_at: checked_at,
                not_before: not_before(revocation),
            }))
        };
        self.database.write_without_fsync(write).await
    }

    async fn record_api_key_failure(&self, attempt: ApiKeyAttempt) -> Result<(), Error> {
        let bucket = Bucket::for_network(
            &ClientNetwork::from_address(attempt.address),
            &self.config.throttle,
        );
        let entry = Entry::new(Action::ApiLoginFailed, attempt.user, &attempt.origin);
        let entry = entry.with_project(Some(attempt.project));
        let config = self.config.clone();
        let clock = self.clock.clone();
        let write = move |connection: &mut AnyConnection| {
            let now = clock.now();
            throttle::count_failure(connection, &[&bucket], &config.throttle, now)?;
            audit::record(connection, entry, now)
        };
        self.database.write(write).await
    }
}
