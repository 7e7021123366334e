//! Signing keys and their rotation. One key signs (`active`), and one is already published and
//! signs after the next rotation (`next`). So a rotation takes effect at once: every verifier knows
//! the new key before it signs.

use std::{sync::Arc, time::Duration};

use doorward_domain::Clock;
use doorward_storage::{AnyConnection, Database};

use crate::{
    audit,
    error::Error,
    model::{Action, Entry, KeyState, Origin, SigningKey},
    reseal,
    sealing::Sealer,
    store,
};

/// The signing keys, for the service and for administration.
#[derive(Clone)]
pub struct Keys {
    database: Database,
    clock: Arc<dyn Clock>,
    sealer: Arc<Sealer>,
    /// Lifetime of the tokens that this process issues.
    lifetime: Duration,
}

impl Keys {
    #[must_use]
    pub fn new(
        database: Database,
        clock: Arc<dyn Clock>,
        sealer: Arc<Sealer>,
        lifetime: Duration,
    ) -> Self {
        Self {
            database,
            clock,
            sealer,
            lifetime,
        }
    }

    /// Creates the active and the next key if they are missing, and checks that the master key
    /// opens them. Deletes the private parts of previous keys, which earlier releases kept.
    ///
    /// # Errors
    /// [`Error::Seal`] if the master key is not the one that sealed the keys, and database errors.
    pub async fn create_missing(&self) -> Result<(), Error> {
        let sealer = self.sealer.clone();
        let now = self.clock.now();
        self.database
            .write(move |connection| {
                let keys = list_locked(connection)?;
                // Checked under the lock, because an import may have started since.
                doorward_storage::transfer::check_complete(connection)?;
                for key in keys
                    .iter()
                    .filter(|key| matches!(key.state, KeyState::Active | KeyState::Next))
                {
                    key.to_signer(&sealer)?;
                }
                for state in [KeyState::Active, KeyState::Next] {
                    if !keys.iter().any(|key| key.state == state) {
                        store::signing_key::insert(
                            connection,
                            SigningKey::generate(&sealer, state, now)?,
                        )?;
                    }
                }
                Ok(store::signing_key::delete_private_keys_of_previous(
                    connection,
                )?)
            })
            .await
    }

    /// Activates the next key, publishes another next key, and keeps the old one for verification.
    /// Retires previous keys whose tokens have expired. Returns all keys.
    ///
    /// # Errors
    /// [`Error::Seal`] if the master key is not the one that sealed the keys, and database errors.
    pub async fn rotate(&self, origin: Origin) -> Result<Vec<SigningKey>, Error> {
        self.create_missing().await?;
        let sealer = self.sealer.clone();
        let now = self.clock.now();
        let lifetime = self.lifetime;
        self.database
            .write(move |connection| {
                let keys = list_locked(connection)?;
                verify_master_key(&keys, &sealer)?;
                let lifetime = store::trust_version::get_longest_lifetime(connection, lifetime)?;
                // One minute more: replicas switch to the new key within a second, and clocks
                // differ.
                let verify_until = now
                    .saturating_add(lifetime)
                    .saturating_add(Duration::from_secs(60));
                for key in keys {
                    match key.state {
                        KeyState::Active => {
                            store::signing_key::deactivate(connection, &key.kid, verify_until)?;
                        }
                        KeyState::Next => store::signing_key::activate(connection, &key.kid)?,
                        KeyState::Previous if !key.can_verify_at(now) => {
                            store::signing_key::retire(connection, &key.kid)?;
                        }
                        KeyState::Previous | KeyState::Retired => {}
                    }
                }
                store::signing_key::insert(
                    connection,
                    SigningKey::generate(&sealer, KeyState::Next, now)?,
                )?;
                audit::record(
                    connection,
                    Entry::new(Action::SigningKeyRotated, None, &origin),
                    now,
                )?;
                Ok(store::signing_key::list(connection)?)
            })
            .await
    }

    /// Retires a key: tokens that it has signed are rejected from now on. The next key is replaced
    /// by another one. Returns all keys.
    ///
    /// # Errors
    /// [`Error::KeyNotFound`], [`Error::KeyIsActive`] for the key that signs, [`Error::Seal`] if
    /// the master key is not the one that sealed the keys, and database errors.
    pub async fn retire(&self, kid: &str, origin: Origin) -> Result<Vec<SigningKey>, Error> {
        let sealer = self.sealer.clone();
        let now = self.clock.now();
        let kid = kid.to_owned();
        self.database
            .write(move |connection| {
                let keys = list_locked(connection)?;
                verify_master_key(&keys, &sealer)?;
                let key = keys
                    .iter()
                    .find(|key| key.kid == kid)
                    .ok_or(Error::KeyNotFound)?;
                match key.state {
                    KeyState::Active => return Err(Error::KeyIsActive),
                    KeyState::Next => {
                        store::signing_key::insert(
                            connection,
                            SigningKey::generate(&sealer, KeyState::Next, now)?,
                        )?;
                    }
                    KeyState::Retired => return Ok(keys),
                    KeyState::Previous => {}
                }
                store::signing_key::retire(connection, &kid)?;
                let entry = Entry::new(Action::SigningKeyRetired, None, &origin).with_detail(&kid);
                audit::record(connection, entry, now)?;
                Ok(store::signing_key::list(connection)?)
            })
            .await
    }

    /// Reseals everything with another master key, in one transaction. Processes that still have
    /// the old one continue with the keys in their memory, and cannot seal anything more.
    ///
    /// # Errors
    /// [`Error::Seal`] if the master key is not the one that sealed everything, and database
    /// errors. Nothing is changed then.
    pub async fn reseal(&self, new: Sealer, origin: Origin) -> Result<(), Error> {
        let old = self.sealer.clone();
        let now = self.clock.now();
        self.database
            .write(move |connection| {
                store::trust_version::lock(connection)?;
                reseal::reseal_all(connection, &old, &new)?;
                audit::record(
                    connection,
                    Entry::new(Action::MasterKeyReplaced, None, &origin),
                    now,
                )
            })
            .await
    }

    /// Returns all keys, the oldest first.
    ///
    /// # Errors
    /// Database errors.
    pub async fn list(database: &Database) -> Result<Vec<SigningKey>, Error> {
        database
            .read_snapshot(|connection| Ok(store::signing_key::list(connection)?))
            .await
    }
}

/// Checks that this process has the current master key. It must not seal a key with a replaced one.
/// The caller holds the lock under which the master key is replaced.
fn verify_master_key(keys: &[SigningKey], sealer: &Sealer) -> Result<(), Error> {
    match keys.iter().find(|key| key.state == KeyState::Active) {
        Some(key) => key.to_signer(sealer).map(drop),
        None => Ok(()),
    }
}

/// Lists the keys after taking the lock under which they change.
fn list_locked(connection: &mut AnyConnection) -> Result<Vec<SigningKey>, Error> {
    store::trust_version::increment(connection)?;
    Ok(store::signing_key::list(connection)?)
}
