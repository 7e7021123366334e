//! Stored passwords: verification, changes, and the replacement of outdated hashes. It does not
//! know how logins are throttled.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use doorward_domain::{Clock, Gid, Timestamp};
use doorward_storage::{AnyConnection, Database};

use crate::{
    audit,
    config::Config,
    error::Error,
    model::{Action, Entry, Origin, RevocationTarget},
    passwords::{
        hashing::{self, Hasher, StoredHash, TimingPadding},
        password::Password,
        strength::{self, UserInputs},
    },
    store, throttle,
    tokens::revocation,
};

/// The credentials of users, for logins and for administration.
#[derive(Clone)]
pub struct Credentials {
    database: Database,
    clock: Arc<dyn Clock>,
    config: Arc<Config>,
    hasher: Hasher,
    /// Verified in place of a stored hash if the user does not exist or has no password.
    dummy: Arc<StoredHash>,
    timing_padding: Arc<TimingPadding>,
}

impl Credentials {
    /// Starts the hashing threads.
    ///
    /// # Errors
    /// [`Error::Internal`] or [`Error::UnusableHash`] if the threads can't be started, or the
    /// settings of argon2id are invalid or too costly.
    pub fn new(
        database: Database,
        clock: Arc<dyn Clock>,
        config: Arc<Config>,
    ) -> Result<Self, Error> {
        let hasher = Hasher::start(&config.hashing)
            .map_err(|_| Error::Internal("failed to start the hashing threads"))?;
        let dummy = Arc::new(StoredHash::dummy(&config.hashing)?);
        Ok(Self {
            database,
            clock,
            config,
            hasher,
            dummy,
            timing_padding: Arc::default(),
        })
    }

    /// Returns the pool of hashing threads.
    #[must_use]
    pub fn hasher(&self) -> &Hasher {
        &self.hasher
    }

    /// Verifies a password against the stored hash `text` of a user. One hash is computed in any
    /// case, also without a user or a stored hash. After a success, an outdated hash is replaced;
    /// after a failure, the response is padded. Returns None if the password is wrong.
    ///
    /// # Errors
    /// [`Error::HashQueueFull`], [`Error::Internal`] if hashing fails.
    pub(crate) async fn verify(
        &self,
        user: Option<Gid>,
        text: Option<String>,
        password: &str,
    ) -> Result<Option<VerifiedPassword>, Error> {
        let Ok(password) = Password::parse(password) else {
            return Ok(None);
        };
        let stored = text
            .as_deref()
            .and_then(|text| StoredHash::parse(text).ok())
            .map(Arc::new);
        let checked = stored.clone().unwrap_or_else(|| self.dummy.clone());
        let candidate = password.clone();
        let started_at = Instant::now();
        let (matches, kind, hash_time) = self
            .hasher
            .run(move |memory| {
                let hash_started_at = Instant::now();
                (
                    checked.matches(candidate.as_bytes(), memory),
                    checked.cost_kind(),
                    hash_started_at.elapsed(),
                )
            })
            .await?;
        self.timing_padding
            .record(kind, hash_time, started_at.elapsed());
        let (true, Some(user), Some(stored), Some(text)) = (matches, user, stored, text) else {
            let padding = self.timing_padding.padding(started_at.elapsed());
            tokio::time::sleep(padding).await;
            return Ok(None);
        };
        if stored.is_outdated(&self.config.hashing)
            && let Some(hash) = self.upgrade(user, text.clone(), password).await
        {
            return Ok(Some(VerifiedPassword { user, hash }));
        }
        Ok(Some(VerifiedPassword { user, hash: text }))
    }

    /// Stores a password and revokes all earlier tokens of the user.
    ///
    /// # Errors
    /// [`Error::PasswordTooShort`], [`Error::HashQueueFull`], and database errors.
    pub async fn set_password(
        &self,
        user: Gid,
        password: Password,
        origin: Origin,
    ) -> Result<(), Error> {
        let hash = self.hash_new_password(password).await?;
        self.store_hash(user, hash, origin).await
    }

    /// Stores a password by its hash and revokes all earlier tokens of the user.
    ///
    /// # Errors
    /// [`Error::UnusableHash`] if the hash has an unsupported format or is too costly to verify,
    /// and database errors.
    pub async fn set_hash(&self, user: Gid, hash: String, origin: Origin) -> Result<(), Error> {
        StoredHash::parse(&hash)?;
        self.store_hash(user, hash, origin).await
    }

    /// Deletes the failed logins of a username, which ends their waits. Those of client networks
    /// stay.
    ///
    /// # Errors
    /// Database errors.
    pub async fn clear_throttle(&self, username: String) -> Result<(), Error> {
        let config = self.config.throttle;
        self.database
            .write(move |connection| throttle::clear_username(connection, &username, &config))
            .await
    }

    /// Stores the hashes of users who are about to be created, in one transaction. Hashes that a
    /// failed earlier attempt left for the same gids are replaced.
    ///
    /// # Errors
    /// Database errors; then no hash is stored.
    pub async fn insert_hashes(&self, new: Vec<(Gid, String)>) -> Result<(), Error> {
        let now = self.clock.now();
        self.database
            .write(move |connection| {
                let users: Vec<Gid> = new.iter().map(|(user, _)| *user).collect();
                store::credential::delete_many(connection, &users)?;
                Ok(store::credential::insert_many(connection, new, now)?)
            })
            .await
    }

    /// Returns the hash of a password that is about to be stored.
    ///
    /// # Errors
    /// [`Error::PasswordTooShort`], [`Error::HashQueueFull`].
    pub async fn hash_new_password(&self, password: Password) -> Result<String, Error> {
        password.check_length(self.config.password_min_chars)?;
        self.hash(password).await
    }

    /// Deletes the hashes of these users.
    ///
    /// # Errors
    /// Database errors.
    pub async fn delete_all(&self, users: Vec<Gid>) -> Result<(), Error> {
        self.database
            .write(move |connection| Ok(store::credential::delete_many(connection, &users)?))
            .await
    }

    /// Checks the length and the strength of a password that a user chooses. The strength is
    /// estimated on a hashing thread, because that takes milliseconds.
    ///
    /// # Errors
    /// [`Error::PasswordTooShort`], [`Error::PasswordWeak`], [`Error::HashQueueFull`].
    pub(crate) async fn check_new_password(
        &self,
        password: Password,
        user_inputs: UserInputs,
    ) -> Result<(), Error> {
        password.check_length(self.config.password_min_chars)?;
        self.hasher
            .run(move |_| strength::check(&password, &user_inputs))
            .await?
    }

    /// Computes a new hash.
    ///
    /// # Errors
    /// [`Error::HashQueueFull`], [`Error::Internal`] if hashing fails.
    pub(crate) async fn hash(&self, password: Password) -> Result<String, Error> {
        let config = self.config.hashing;
        self.hasher
            .run(move |memory| hashing::hash_password(password.as_bytes(), &config, memory))
            .await?
    }

    async fn store_hash(&self, user: Gid, hash: String, origin: Origin) -> Result<(), Error> {
        let clock = self.clock.clone();
        let lifetime = self.config.token_lifetime;
        let replacement = Replacement {
            user,
            hash,
            action: Action::PasswordChanged,
        };
        self.database
            .write(move |connection| {
                store::trust_version::increment(connection)?;
                // The time is taken after the lock, so that the revocation covers logins that began
                // while this transaction waited for it.
                let now = clock.now();
                replacement.apply(connection, &origin, lifetime, now)
            })
            .await
    }

    /// Replaces an outdated hash by a new one and returns it. Returns None after an error: the
    /// login succeeds anyway, and the next one tries again.
    async fn upgrade(&self, user: Gid, old: String, password: Password) -> Option<String> {
        let now: Timestamp = self.clock.now();
        let replaced = async {
            let new = self.hash(password).await?;
            let stored = new.clone();
            let write = move |connection: &mut AnyConnection| {
                Ok::<_, Error>(store::credential::upgrade(
                    connection, user, &old, &stored, now,
                )?)
            };
            self.database.write(write).await?;
            Ok::<_, Error>(new)
        };
        replaced
            .await
            .inspect_err(|error| {
                tracing::warn!(
                    %error,
                    %user,
                    "failed to replace an outdated password hash; the next login tries again"
                );
            })
            .ok()
    }
}

/// The replacement of a user's password hash, which revokes all earlier tokens of the user.
pub(crate) struct Replacement {
    pub(crate) user: Gid,
    pub(crate) hash: String,
    /// Action in the audit record.
    pub(crate) action: Action,
}

impl Replacement {
    /// Stores the hash, deletes the user's codes and revokes the tokens in the caller's
    /// transaction, which holds the lock of the trust version.
    ///
    /// # Errors
    /// Database errors.
    pub(crate) fn apply(
        self,
        connection: &mut AnyConnection,
        origin: &Origin,
        lifetime: Duration,
        now: Timestamp,
    ) -> Result<(), Error> {
        let Self { user, hash, action } = self;
        store::credential::upsert(connection, user, hash, now)?;
        store::code::delete_for_user(connection, user)?;
        revocation::revoke(
            connection,
            vec![(RevocationTarget::Subject(user), now)],
            lifetime,
        )?;
        audit::record(connection, Entry::new(action, Some(user), origin), now)
    }
}

/// A user whose password was right.
#[derive(Debug)]
pub(crate) struct VerifiedPassword {
    pub(crate) user: Gid,
    /// The hash against which the password was verified, or its replacement. If another one is
    /// stored now, the hash was changed meanwhile.
    pub(crate) hash: String,
}
