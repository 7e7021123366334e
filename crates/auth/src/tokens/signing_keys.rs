//! Signing keys. There is always one that signs (`active`) and one that is already published to sign next (`next`), so a
//! rotation needs no waiting: every verifier knows the next key before it signs.

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

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyState {
    /// Published, signs after the next rotation.
    Next,
    Active,
    /// Verifies what it has signed, until the last of that has expired. Its private part is gone.
    Previous,
    /// Verifies nothing any more; its private part is gone.
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
            .ok_or(Malformed("is no state of a key"))
    }
}

#[derive(Debug, Clone)]
pub struct SigningKey {
    /// The key's thumbprint (RFC 7638).
    pub kid: String,
    pub state: KeyState,
    /// 32 bytes, base64url.
    pub public_key: String,
    pub(crate) sealed_private_key: String,
    pub created_at: Timestamp,
    /// Of a previous key: when its last token has expired.
    pub verify_until: Option<Timestamp>,
}

impl SigningKey {
    /// Whether it may verify a token at `now`.
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
            .map_err(|_| Error::Internal("a stored signing key is no Ed25519 key"))
    }

    fn generate(sealer: &Sealer, state: KeyState, now: Timestamp) -> Result<Self, Error> {
        let broken = |_| Error::Internal("can't make a signing key");
        let pkcs8 = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).map_err(broken)?;
        let signer = Signer::new("", pkcs8.as_ref())
            .map_err(|_| Error::Internal("can't make a signing key"))?;
        let public_key = URL_SAFE_NO_PAD.encode(&signer.public_key().x);
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

pub(crate) fn signing_key_associated_data(kid: &str) -> String {
    format!("signing_key/{kid}")
}

/// The signing keys, for the service and for administration.
#[derive(Clone)]
pub struct Keys {
    database: Database,
    clock: Arc<dyn Clock>,
    sealer: Arc<Sealer>,
    /// Of a token.
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

    /// Makes the keys that are missing, and checks that the master key opens those that sign. Deletes the private parts of
    /// previous keys, which earlier releases kept.
    ///
    /// # Errors
    /// When the master key is not the one that sealed them, and those of the database.
    pub async fn create_missing(&self) -> Result<(), Error> {
        let (sealer, now) = (self.sealer.clone(), self.clock.now());
        self.database
            .write(move |connection| {
                let keys = list_locked(connection)?;
                // Under the lock: an import may have begun a moment ago.
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

    /// Lets the next key sign, publishes one to come after it, and keeps the old one for verifying.
    ///
    /// # Errors
    /// When the master key is not the one that sealed the keys, and those of the database.
    pub async fn rotate(&self, origin: Origin) -> Result<Vec<SigningKey>, Error> {
        self.create_missing().await?;
        let (sealer, now) = (self.sealer.clone(), self.clock.now());
        let lifetime = self.lifetime;
        self.database
            .write(move |connection| {
                let keys = list_locked(connection)?;
                verify_master_key(&keys, &sealer)?;
                let lifetime = store::trust_version::get_longest_lifetime(connection, lifetime)?;
                // A minute more: replicas switch within a second, and clocks differ.
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

    /// Ends a key: what it has signed is refused from now on. The next key is replaced by another.
    ///
    /// # Errors
    /// [`Error::KeyNotFound`]; [`Error::KeyIsActive`] for the key that signs; those of the database.
    pub async fn retire(&self, kid: &str, origin: Origin) -> Result<Vec<SigningKey>, Error> {
        let (sealer, now, kid) = (self.sealer.clone(), self.clock.now(), kid.to_owned());
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

    /// Seals everything that the master key seals with another. Processes that still have the old one go on with what they
    /// hold in memory, and seal nothing more.
    ///
    /// # Errors
    /// When the master key is not the one that sealed it all, and those of the database; then nothing is changed.
    pub async fn reseal(&self, new: Sealer, origin: Origin) -> Result<(), Error> {
        let (old, now) = (self.sealer.clone(), self.clock.now());
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

    /// # Errors
    /// Those of the database.
    pub async fn list(database: &Database) -> Result<Vec<SigningKey>, Error> {
        database
            .read_snapshot(|connection| Ok(store::signing_key::list(connection)?))
            .await
    }
}

/// That the master key is the one that seals, at this very moment.
fn verify_master_key(keys: &[SigningKey], sealer: &Sealer) -> Result<(), Error> {
    match keys.iter().find(|key| key.state == KeyState::Active) {
        Some(key) => key.to_signer(sealer).map(drop),
        None => Ok(()),
    }
}

/// Takes the lock under which keys change.
fn list_locked(connection: &mut AnyConnection) -> Result<Vec<SigningKey>, Error> {
    store::trust_version::increment(connection)?;
    Ok(store::signing_key::list(connection)?)
}
