//! Signing keys and their rotation. One key signs (`active`), and one is already published and
//! signs after the next rotation (`next`). So a rotation takes effect at once: every verifier knows
//! the new key before it signs.

use std::{str::FromStr, sync::Arc, time::Duration};

use aws_lc_rs::{digest, rand::SystemRandom, signature::Ed25519KeyPair};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use doorward_domain::{Clock, Malformed, Timestamp};
use doorward_storage::{AnyConnection, Database};
use doorward_token::{PublicKey, Signer};

use crate::{
    Error, Sealer,
    audit::{self, Action, Entry, Origin},
    reseal, store,
};

/// State of a signing key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyState {
    /// The key is published and signs after the next rotation.
    Next,
    /// The key signs.
    Active,
    /// The key verifies the tokens that it has signed, until the last of them has expired. Its
    /// private part is deleted.
    Previous,
    /// The key verifies nothing any more. Its private part is deleted.
    Retired,
}

impl KeyState {
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Next => "next",
            Self::Active => "active",
            Self::Previous => "previous",
            Self::Retired => "retired",
        }
    }
}

impl FromStr for KeyState {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        [Self::Next, Self::Active, Self::Previous, Self::Retired]
            .into_iter()
            .find(|state| state.as_str() == text)
            .ok_or(Malformed("not a state of a signing key"))
    }
}

/// A stored signing key.
#[derive(Debug, Clone)]
pub struct SigningKey {
    /// Thumbprint of the public key (RFC 7638).
    pub kid: String,
    pub state: KeyState,
    /// Ed25519 public key: 32 bytes in base64url.
    pub public_key: String,
    pub(crate) sealed_private_key: String,
    pub created_at: Timestamp,
    /// Time at which the last token of a previous key has expired. None in the other states.
    pub verify_until: Option<Timestamp>,
}

impl SigningKey {
    /// Returns whether the key verifies tokens at `now`.
    #[must_use]
    pub fn can_verify_at(&self, now: Timestamp) -> bool {
        match self.state {
            KeyState::Next | KeyState::Active => true,
            KeyState::Previous => self.verify_until.is_some_and(|until| now < until),
            KeyState::Retired => false,
        }
    }

    pub(crate) fn to_public(&self) -> Option<PublicKey> {
        Some(PublicKey {
            kid: self.kid.clone(),
            x: URL_SAFE_NO_PAD.decode(&self.public_key).ok()?,
        })
    }

    pub(crate) fn to_signer(&self, sealer: &Sealer) -> Result<Signer, Error> {
        let pkcs8 = sealer.open(
            &signing_key_associated_data(&self.kid),
            &self.sealed_private_key,
        )?;
        Signer::new(&self.kid, &pkcs8)
            .map_err(|_| Error::Internal("a stored signing key is not an Ed25519 key"))
    }

    fn generate(sealer: &Sealer, state: KeyState, now: Timestamp) -> Result<Self, Error> {
        let failed = |_| Error::Internal("failed to generate a signing key");
        let pkcs8 = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).map_err(failed)?;
        let signer = Signer::new("", pkcs8.as_ref())
            .map_err(|_| Error::Internal("failed to generate a signing key"))?;
        let public_key = URL_SAFE_NO_PAD.encode(&signer.public_key().x);
        // The thumbprint is the hash of exactly these members, in this order, without spaces.
        let jwk = format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{public_key}"}}"#);
        let kid = URL_SAFE_NO_PAD.encode(digest::digest(&digest::SHA256, jwk.as_bytes()));
        let sealed_private_key = sealer.seal(&signing_key_associated_data(&kid), pkcs8.as_ref())?;
        Ok(Self {
            kid,
            state,
            public_key,
            sealed_private_key,
            created_at: now,
            verify_until: None,
        })
    }
}

/// Returns the associated data of a sealed private key.
pub(crate) fn signing_key_associated_data(kid: &str) -> String {
    format!("signing_key/{kid}")
}

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
