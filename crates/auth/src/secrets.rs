//! What auth keeps for itself, made at the first need and sealed: the keys of its HMACs.

use aws_lc_rs::{constant_time::verify_slices_are_equal, rand};
use doorward_storage::AnyConnection;

use crate::{Error, Sealer, store, tokens::signing_keys::KeyState};

const BYTES: usize = 32;

/// By which API keys are looked up.
pub(crate) const API_KEY_HMAC_KEY: &str = "api_key_lookup";
/// By which codes that were mailed are compared: they are short, and a plain hash would be guessed.
pub(crate) const CODE_HMAC_KEY: &str = "mailed_codes";

/// To which a sealed secret is bound.
pub(crate) fn secret_associated_data(name: &str) -> String {
    format!("secret/{name}")
}

pub(crate) fn find_or_create(
    connection: &mut AnyConnection,
    sealer: &Sealer,
    name: &'static str,
) -> Result<Vec<u8>, Error> {
    if let Some(sealed) = store::secret::find(connection, name)? {
        return Ok(sealer.open(&secret_associated_data(name), &sealed)?);
    }
    store::trust_version::lock(connection)?;
    // Somebody else may have made it while we waited.
    if let Some(sealed) = store::secret::find(connection, name)? {
        return Ok(sealer.open(&secret_associated_data(name), &sealed)?);
    }
    // Not with another key than all the rest.
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

pub(crate) fn random_bytes<const N: usize>() -> Result<[u8; N], Error> {
    let mut bytes = [0; N];
    rand::fill(&mut bytes).map_err(|_| Error::Internal("no random numbers"))?;
    Ok(bytes)
}

/// In a time that tells nothing of where they differ.
pub(crate) fn constant_time_eq(a: &str, b: &str) -> bool {
    verify_slices_are_equal(a.as_bytes(), b.as_bytes()).is_ok()
}
