//! Passwords: set, checked, replaced by better hashes.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use doorward_domain::{Clock, Gid, Timestamp};
use doorward_storage::{AnyConnection, Database};

use crate::{
    Config, Error, Password,
    audit::{self, Action, Entry, Origin},
    passwords::{
        hashing::{self, Hasher, StoredHash, TimingPadding},
        strength::{self, UserInputs},
    },
    store, throttle,
    tokens::revocation::{self, RevocationTarget},
};

/// The credentials of users, for logins and for administration.
#[derive(Clone)]
pub struct Credentials {
    database: Database,
    clock: Arc<dyn Clock>,
    config: Arc<Config>,
    hasher: Hasher,
    dummy: Arc<StoredHash>,
    timing_padding: Arc<TimingPadding>,
}

impl Credentials {
    /// # Errors
    /// When the hashing threads can't be started or the parameters are impossible.
    pub fn new(
        database: Database,
        clock: Arc<dyn Clock>,
        config: Arc<Config>,
    ) -> Result<Self, Error> {
        let hasher = Hasher::start(&config.hashing)
            .map_err(|_| Error::Internal("can't start the hashing threads"))?;
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

    #[must_use]
    pub fn hasher(&self) -> &Hasher {
        &self.hasher
    }

    /// Checks a password against the user's stored hash: one hash, whether or not there is either. A hash that is outdated
    /// is replaced.
    ///
    /// # Errors
    /// [`Error::HashQueueFull`], and those of the database.
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
        let typed = password.clone();
        let begun = Instant::now();
        let (matches, kind, took) = self
            .hasher
            .run(move |memory| {
                let started = Instant::now();
                (
                    checked.matches(typed.as_bytes(), memory),
                    checked.cost_kind(),
                    started.elapsed(),
                )
            })
            .await?;
        self.timing_padding.record(kind, took, begun.elapsed());
        let (true, Some(user), Some(stored), Some(text)) = (matches, user, stored, text) else {
            tokio::time::sleep(self.timing_padding.padding(begun.elapsed())).await;
            return Ok(None);
        };
        if stored.is_outdated(&self.config.hashing)
            && let Some(hash) = self.upgrade(user, text.clone(), password).await
        {
            return Ok(Some(VerifiedPassword { user, hash }));
        }
        Ok(Some(VerifiedPassword { user, hash: text }))
    }

    /// Sets a password and ends every earlier token of the user.
    ///
    /// # Errors
    /// When the password is too short, and those of the database.
    pub async fn set_password(
        &self,
        user: Gid,
        password: Password,
        origin: Origin,
    ) -> Result<(), Error> {
        let hash = self.hash_new_password(password).await?;
        self.store_hash(user, hash, origin).await
    }

    /// Sets a password by its hash and ends every earlier token of the user.
    ///
    /// # Errors
    /// When the hash is of no known kind or costs too much to check, and those of the database.
    pub async fn set_hash(&self, user: Gid, hash: String, origin: Origin) -> Result<(), Error> {
        StoredHash::parse(&hash)?;
        self.store_hash(user, hash, origin).await
    }

    /// Ends the waits of the login throttle that count by this username. Those of client addresses stay.
    ///
    /// # Errors
    /// Database errors.
    pub async fn clear_throttle(&self, username: String) -> Result<(), Error> {
        let config = self.config.throttle;
        self.database
            .write(move |connection| throttle::clear_username(connection, &username, &config))
            .await
    }

    /// Stores the hashes of users who are about to be made, in one transaction. What an earlier try left under the same
    /// gids is replaced.
    ///
    /// # Errors
    /// Those of the database, and then none is stored.
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

    /// The hash of a password that is about to be set.
    ///
    /// # Errors
    /// When the password is too short.
    pub async fn hash_new_password(&self, password: Password) -> Result<String, Error> {
        password.check_length(self.config.password_min_chars)?;
        self.hash(password).await
    }

    /// # Errors
    /// Those of the database.
    pub async fn delete_all(&self, users: Vec<Gid>) -> Result<(), Error> {
        self.database
            .write(move |connection| Ok(store::credential::delete_many(connection, &users)?))
            .await
    }

    /// Whether a password that a user chooses is good enough.
    ///
    /// # Errors
    /// [`Error::PasswordTooShort`], [`Error::PasswordWeak`], [`Error::HashQueueFull`].
    pub(crate) async fn check_new_password(
        &self,
        password: Password,
        hints: UserInputs,
    ) -> Result<(), Error> {
        password.check_length(self.config.password_min_chars)?;
        self.hasher
            .run(move |_| strength::check(&password, &hints))
            .await?
    }

    /// # Errors
    /// [`Error::HashQueueFull`].
    pub(crate) async fn hash(&self, password: Password) -> Result<String, Error> {
        let config = self.config.hashing;
        self.hasher
            .run(move |memory| hashing::hash_password(password.as_bytes(), &config, memory))
            .await?
    }

    async fn store_hash(&self, user: Gid, hash: String, origin: Origin) -> Result<(), Error> {
        let (clock, lifetime) = (self.clock.clone(), self.config.token_lifetime);
        let replacement = Replacement {
            user,
            hash,
            action: Action::PasswordChanged,
        };
        self.database
            .write(move |connection| {
                store::trust_version::increment(connection)?;
                // Not before the lock is held: a login that began while we waited for it is covered too.
                let now = clock.now();
                replacement.apply(connection, &origin, lifetime, now)
            })
            .await
    }

    /// The login succeeds all the same when this fails; the next one tries again.
    async fn upgrade(&self, user: Gid, old: String, password: Password) -> Option<String> {
        let now: Timestamp = self.clock.now();
        let done = async {
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
        done.await
            .inspect_err(
                |error| tracing::warn!(%error, %user, "an outdated password hash stays for now"),
            )
            .ok()
    }
}

/// A new hash in place of the one there is. Every earlier token of the user ends.
pub(crate) struct Replacement {
    pub(crate) user: Gid,
    pub(crate) hash: String,
    /// What it is called in the audit trail.
    pub(crate) action: Action,
}

impl Replacement {
    /// Within the caller's transaction, which holds the lock of the trust head.
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
    /// That the password was checked against, or that has replaced it: where another is stored by now, the password was
    /// changed meanwhile.
    pub(crate) hash: String,
}
