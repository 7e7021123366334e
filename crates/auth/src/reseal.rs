//! Resealing: seals everything with another master key. It also finds out whether a database has
//! sealed data at all.

use doorward_domain::Gid;
use doorward_storage::{AnyConnection, Database};

use crate::{
    error::Error,
    sealing::{
        Sealer, api_key_associated_data, secret_associated_data, signing_key_associated_data,
    },
    store,
};

/// Number of API keys in one page.
const PAGE: i64 = 1000;

/// Returns whether the database has anything that only its master key opens. The tables must exist.
///
/// # Errors
/// Database errors.
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

/// Seals everything with the new master key in the caller's transaction.
///
/// # Errors
/// [`Error::Seal`] if the old master key is not the one that sealed everything, and database
/// errors.
pub(crate) fn reseal_all(
    connection: &mut AnyConnection,
    old: &Sealer,
    new: &Sealer,
) -> Result<(), Error> {
    let reseal = |associated_data: &str, sealed: &str| {
        new.seal(associated_data, &old.open(associated_data, sealed)?)
    };
    for key in store::signing_key::list(connection)? {
        // A key that does not sign any more has no private part.
        if !key.sealed_private_key.is_empty() {
            let sealed = reseal(
                &signing_key_associated_data(&key.kid),
                &key.sealed_private_key,
            )?;
            store::signing_key::set_sealed_private_key(connection, &key.kid, &sealed)?;
        }
    }
    for (name, sealed) in store::secret::list(connection)? {
        store::secret::update(
            connection,
            &name,
            &reseal(&secret_associated_data(&name), &sealed)?,
        )?;
    }
    doorward_mail::reseal(connection, old, new).map_err(|_| {
        Error::Internal("a mail in the outbox can't be unsealed with the old master key")
    })?;
    let mut after: Option<Gid> = None;
    loop {
        let page = store::api_key::list(connection, after, PAGE)?;
        let Some(last) = page.last() else {
            return Ok(());
        };
        after = Some(last.user);
        for mut key in page {
            key.sealed_key = reseal(
                &api_key_associated_data(&key.user.to_string()),
                &key.sealed_key,
            )?;
            store::api_key::upsert(connection, &key)?;
        }
    }
}
