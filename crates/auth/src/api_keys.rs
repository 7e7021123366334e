//! API keys: 256 random bits, found by their HMAC, and stored sealed so that the owner of the
//! project can read a key again. The directory knows whether an API user is active.

use std::{sync::Arc, time::Duration};

use aws_lc_rs::hmac::{self, HMAC_SHA256};
use base64::{Engine, engine::general_purpose::STANDARD};
use doorward_domain::{Clock, Gid, Timestamp};
use doorward_storage::{AnyConnection, Database};

use crate::{
    audit,
    error::Error,
    model::{Action, ApiKey, Entry, Origin, RevocationTarget, RowLock},
    sealing::{Sealer, api_key_associated_data},
    secrets, store,
    tokens::revocation,
};

/// Prefix by which scanners for leaked secrets recognize a key. The checksum of Base58Check
/// distinguishes a key from similar text.
const PREFIX: &str = "dw_";
/// Length of the random part of a key.
const KEY_BYTES: usize = 32;
/// Maximum length of a text that is hashed. No key is longer.
const MAX_CHARS: usize = 128;

/// The API keys, for the service and for administration.
#[derive(Clone)]
pub struct ApiKeys {
    database: Database,
    clock: Arc<dyn Clock>,
    sealer: Arc<Sealer>,
    lookup_hmac_key: Arc<hmac::Key>,
    /// Lifetime of the tokens that this process issues.
    lifetime: Duration,
}

impl ApiKeys {
    /// Loads the HMAC key with which API keys are found, and creates it at the first start.
    ///
    /// # Errors
    /// [`Error::Seal`] if the master key is not the one that sealed it, and database errors.
    pub async fn start(
        database: Database,
        clock: Arc<dyn Clock>,
        sealer: Arc<Sealer>,
        lifetime: Duration,
    ) -> Result<Self, Error> {
        let secret_sealer = sealer.clone();
        let secret = database
            .write(move |connection| {
                secrets::find_or_create(connection, &secret_sealer, secrets::API_KEY_HMAC_KEY)
            })
            .await?;
        let lookup = Arc::new(hmac::Key::new(HMAC_SHA256, &secret));
        Ok(Self {
            database,
            clock,
            sealer,
            lookup_hmac_key: lookup,
            lifetime,
        })
    }

    /// Finds an API key by its text. A malformed text is looked up too, so that the response time
    /// does not show that it is malformed.
    ///
    /// # Errors
    /// Database errors.
    pub(crate) fn find(
        &self,
        connection: &mut AnyConnection,
        text: &str,
    ) -> doorward_storage::Result<Option<ApiKey>> {
        self.find_with(store::api_key::find_by_lookup, connection, text)
    }

    /// Does the same as [`find`](Self::find) and locks the row: no other transaction replaces or
    /// deletes it before this one ends.
    ///
    /// # Errors
    /// Database errors.
    pub(crate) fn find_locked(
        &self,
        connection: &mut AnyConnection,
        text: &str,
        lock: RowLock,
    ) -> doorward_storage::Result<Option<ApiKey>> {
        let find = |connection: &mut AnyConnection, lookup: &str| {
            store::api_key::find_by_lookup_locked(connection, lookup, lock)
        };
        self.find_with(find, connection, text)
    }

    fn find_with(
        &self,
        find: impl Fn(&mut AnyConnection, &str) -> doorward_storage::Result<Option<ApiKey>>,
        connection: &mut AnyConnection,
        text: &str,
    ) -> doorward_storage::Result<Option<ApiKey>> {
        let end = text
            .char_indices()
            .nth(MAX_CHARS)
            .map_or(text.len(), |(end, _)| end);
        let lookup = self.lookup_hmac(text.get(..end).unwrap_or_default());
        let found = find(connection, &lookup)?;
        let is_key = is_well_formed(text);
        Ok(found.filter(|key| is_key && secrets::constant_time_eq(&key.lookup_hmac, &lookup)))
    }

    /// Returns the key of an API user, and creates it at the first call.
    ///
    /// # Errors
    /// [`Error::Seal`] if the master key was replaced meanwhile, and database errors.
    pub async fn get_or_create(
        &self,
        user: Gid,
        project: Gid,
        origin: Origin,
    ) -> Result<String, Error> {
        let this = self.clone();
        self.database
            .write(move |connection| {
                let mut key = store::api_key::find(connection, user)?;
                if key.is_none() {
                    // Under the lock, two calls at once do not create two keys.
                    store::trust_version::lock(connection)?;
                    key = store::api_key::find(connection, user)?;
                }
                let now = this.clock.now();
                let (text, action) = match key {
                    Some(key) => (this.unseal(&key)?, Action::ApiKeyRead),
                    None => (
                        this.insert_new(connection, user, project, now)?,
                        Action::ApiKeyCreated,
                    ),
                };
                audit::record(
                    connection,
                    Entry::new(action, Some(user), &origin).with_project(Some(project)),
                    now,
                )?;
                Ok(text)
            })
            .await
    }

    /// Replaces the key of an API user. The old key and its tokens are invalid from then on.
    ///
    /// # Errors
    /// [`Error::Seal`] if the master key was replaced meanwhile, and database errors.
    pub async fn rotate(&self, user: Gid, project: Gid, origin: Origin) -> Result<String, Error> {
        let this = self.clone();
        self.database
            .write(move |connection| {
                store::trust_version::lock(connection)?;
                let text = this.insert_new(connection, user, project, this.clock.now())?;
                // Replacing the row has waited for logins with the old key, which lock it, and
                // later logins find the new key. The time is taken after that, so all logins with
                // the old key are covered.
                let now = this.clock.now();
                revocation::revoke(
                    connection,
                    vec![(RevocationTarget::Subject(user), now)],
                    this.lifetime,
                )?;
                let entry = Entry::new(Action::ApiKeyRotated, Some(user), &origin)
                    .with_project(Some(project));
                audit::record(connection, entry, now)?;
                Ok(text)
            })
            .await
    }

    /// Applies a change of an API user that a user has made in the directory, and records that
    /// user. The change feed has the same effect, but later, and without the user.
    ///
    /// # Errors
    /// Database errors.
    pub(crate) async fn record_change(
        &self,
        user: Gid,
        project: Gid,
        action: Action,
        origin: Origin,
    ) -> Result<(), Error> {
        let clock = self.clock.clone();
        let lifetime = self.lifetime;
        self.database
            .write(move |connection| {
                store::trust_version::lock(connection)?;
                let now = clock.now();
                if action != Action::ApiKeyActivated {
                    revocation::revoke(
                        connection,
                        vec![(RevocationTarget::Subject(user), now)],
                        lifetime,
                    )?;
                }
                if action == Action::ApiKeyDeleted {
                    store::api_key::delete_older(connection, user, now)?;
                }
                audit::record(
                    connection,
                    Entry::new(action, Some(user), &origin).with_project(Some(project)),
                    now,
                )
            })
            .await
    }

    fn insert_new(
        &self,
        connection: &mut AnyConnection,
        user: Gid,
        project: Gid,
        now: Timestamp,
    ) -> Result<String, Error> {
        // This fails if the master key was replaced: a process that still has the old one must not
        // seal anything more.
        secrets::find_or_create(connection, &self.sealer, secrets::API_KEY_HMAC_KEY)?;
        let text = generate()?;
        let sealed = self
            .sealer
            .seal(&api_key_associated_data(&user.to_string()), text.as_bytes())?;
        let lookup = self.lookup_hmac(&text);
        let key = ApiKey {
            user,
            project,
            lookup_hmac: lookup,
            sealed_key: sealed,
            created_at: now,
            last_used_at: None,
        };
        store::api_key::upsert(connection, &key)?;
        Ok(text)
    }

    fn unseal(&self, key: &ApiKey) -> Result<String, Error> {
        let text = self.sealer.open(
            &api_key_associated_data(&key.user.to_string()),
            &key.sealed_key,
        )?;
        String::from_utf8(text).map_err(|_| Error::Internal("a sealed API key is not UTF-8"))
    }

    fn lookup_hmac(&self, text: &str) -> String {
        STANDARD.encode(hmac::sign(&self.lookup_hmac_key, text.as_bytes()))
    }
}

fn generate() -> Result<String, Error> {
    Ok(format!(
        "{PREFIX}{}",
        bs58::encode(secrets::random_bytes::<KEY_BYTES>()?)
            .with_check()
            .into_string()
    ))
}

/// Returns whether a text has the format of a key: prefix, length and checksum.
fn is_well_formed(text: &str) -> bool {
    let decoded = |text: &str| bs58::decode(text).with_check(None).into_vec().ok();
    text.len() <= MAX_CHARS
        && text
            .strip_prefix(PREFIX)
            .and_then(decoded)
            .is_some_and(|bytes| bytes.len() == KEY_BYTES)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn api_key_format_is_recognized() {
        let key = generate().unwrap();
        assert!(key.starts_with("dw_") && is_well_formed(&key), "{key}");
        assert!(
            key.strip_prefix("dw_")
                .unwrap()
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric()),
            "{key}"
        );
        assert_ne!(key, generate().unwrap());
        let changed = |position: usize| {
            let mut bytes = key.clone().into_bytes();
            bytes[position] = if bytes[position] == b'2' { b'3' } else { b'2' };
            String::from_utf8(bytes).unwrap()
        };
        for position in 0..key.len() {
            assert!(!is_well_formed(&changed(position)), "{position}");
        }
        for bad in [
            "",
            "dw_",
            "dw_0OIl",
            &key[3..],
            &format!("{key} "),
            &"1".repeat(4000),
        ] {
            assert!(!is_well_formed(bad), "{bad}");
        }
    }
}
