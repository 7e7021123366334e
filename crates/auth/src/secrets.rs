//! Secrets of auth itself: the keys of its HMACs, created when they are first needed, and stored
//! sealed.

use aws_lc_rs::{constant_time::verify_slices_are_equal, rand};
use doorward_storage::AnyConnection;

use crate::{
    error::Error,
    model::KeyState,
    sealing::{Sealer, secret_associated_data},
    store,
};

/// Length of a secret.
const BYTES: usize = 32;

/// Name of the HMAC key with which API keys are looked up.
pub(crate) const API_KEY_HMAC_KEY: &str = "api_key_lookup";
/// Name of the HMAC key with which mailed codes are compared. They are short, so a plain hash could
/// be reversed by trying all codes.
pub(crate) const CODE_HMAC_KEY: &str = "mailed_codes";

/// Returns a secret, and creates it if it does not exist.
///
/// # Errors
/// [`Error::Seal`] if the master key is not the one that sealed the stored secrets, and database
/// errors.
pub(crate) fn find_or_create(
    connection: &mut AnyConnection,
    sealer: &Sealer,
    name: &'static str,
) -> Result<Vec<u8>, Error> {
    if let Some(sealed) = store::secret::find(connection, name)? {
        return Ok(sealer.open(&secret_associated_data(name), &sealed)?);
    }
    store::trust_version::lock(connection)?;
    // Another process may have created it while this one waited for the lock.
    if let Some(sealed) = store::secret::find(connection, name)? {
        return Ok(sealer.open(&secret_associated_data(name), &sealed)?);
    }
    // A new secret must be sealed with the same master key as the signing keys.
    if let Some(active) = store::signing_key::list(connection)?
        .iter()
        .find(|key| key.state == KeyState::Active)
    {
        active.to_signer(sealer)?;
    }
    let secret = random_bytes::<BYTES>()?;
    let sealed = sealer.seal(&secret_associated_data(name), &secret)?;
    store::secret::insert(connection, name, &sealed)?;
    Ok(secret.to_vec())
}

/// Returns random bytes of the system.
///
/// # Errors
/// [`Error::Internal`] if the system provides none.
pub(crate) fn random_bytes<const N: usize>() -> Result<[u8; N], Error> {
    let mut bytes = [0; N];
    rand::fill(&mut bytes).map_err(|_| Error::Internal("the system provides no random numbers"))?;
    Ok(bytes)
}

/// Compares two texts in a time that does not depend on where they differ.
pub(crate) fn constant_time_eq(a: &str, b: &str) -> bool {
    verify_slices_are_equal(a.as_bytes(), b.as_bytes()).is_ok()
}
