//! Everything that the master key seals: the search for it, and sealing with another master key.

use doorward_domain::Gid;
use doorward_storage::{AnyConnection, Database};

use crate::{Error, Sealer, api_keys, secrets, store, tokens::signing_keys};

const PAGE: i64 = 1000;

/// Returns whether the database holds anything that only its master key opens. The tables must be there.
///
/// # Errors
/// Errors of the database.
pub async fn has_sealed_data(database: &Database) -> Result<bool, Error> {
    database
        .read_snapshot(|connection| {
            let keys = store::signing_key::list(connection)?;
            Ok(keys.iter().any(|key| !key.sealed_private_key.is_empty())
                || !store::secret::list(connection)?.is_empty()
                || !store::api_key::list(connection, None, 1)?.is_empty()
                || doorward_mail::has_mails(connection)?)
        })
        .await
}

/// Within the caller's transaction.
pub(crate) fn reseal_all(
    connection: &mut AnyConnection,
    old: &Sealer,
    new: &Sealer,
) -> Result<(), Error> {
    let again = |place: &str, sealed: &str| new.seal(place, &old.open(place, sealed)?);
    for key in store::signing_key::list(connection)? {
        // A key that signs no more has no private part.
        if !key.sealed_private_key.is_empty() {
            let sealed = again(
                &signing_keys::signing_key_associated_data(&key.kid),
                &key.sealed_private_key,
            )?;
            store::signing_key::set_sealed_private_key(connection, &key.kid, &sealed)?;
        }
    }
    for (name, sealed) in store::secret::list(connection)? {
        store::secret::update(
            connection,
            &name,
            &again(&secrets::secret_associated_data(&name), &sealed)?,
        )?;
    }
    doorward_mail::reseal(connection, old, new)
        .map_err(|_| Error::Internal("a mail that waits does not open"))?;
    let mut after: Option<Gid> = None;
    loop {
        let page = store::api_key::list(connection, after, PAGE)?;
        let Some(last) = page.last() else {
            return Ok(());
        };
        after = Some(last.user);
        for mut key in page {
            key.sealed_key = again(
                &api_keys::api_key_associated_data(&key.user.to_string()),
                &key.sealed_key,
            )?;
            store::api_key::upsert(connection, &key)?;
        }
    }
}
