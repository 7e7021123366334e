//! Codes of the calls in two steps: signup, password reset and change of the email address. The
//! first step returns a validation code to the program and mails a verification code to the user;
//! the second step needs both, so a verification code that a stranger reads in a mail is useless
//! alone. This module does not know what the steps change.
//!
//! Example: ann (gid `a1`, ann@example.org) resets her password.
//!
//! 1. In the first step, [`Codes::create`] makes the validation code `Nq3...` (24 random bytes) and
//!    the verification code `7KXQ4M`. [`insert`] stores a row: the SHA-256 of `Nq3...`, the HMAC of
//!    both codes, the HMAC of the binding (`a1`, `ann@example.org`), 0 failed attempts, expiry in
//!    15 min. The database holds neither code.
//! 2. A stranger guesses. Without `Nq3...` no row is found. With it, each wrong verification code
//!    or binding is one failed attempt; after five the row never matches again.
//! 3. ann sends both codes. [`Codes::verify`] finds the row and compares the HMACs. If her address
//!    was changed since step 1, the binding differs, and the code is rejected.
//! 4. [`use_up`] deletes all requests of the subject in the transaction that stores the new
//!    password. If two requests with the same code arrive at once, the second finds no row.
//!
//! Signup and email change call the directory between the check and the end. They reserve the row
//! with [`begin`] in between: from then on no other request invalidates it, and [`use_up`] still
//! works for an hour after its expiry, so a crash in between leaves something that can be
//! completed.

use std::{sync::Arc, time::Duration};

use aws_lc_rs::hmac::{self, HMAC_SHA256};
use base64::{
    Engine,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use doorward_domain::Timestamp;
use doorward_storage::{AnyConnection, Database};

use crate::{
    error::Error,
    model::{Code, Purpose, ValidRequest},
    sealing::Sealer,
    secrets,
    sha256::sha256_base64,
    store,
};

/// Time from the first step until a code expires.
pub(crate) const LIFETIME: Duration = Duration::from_secs(15 * 60);
/// Number of failed attempts after which a code is rejected even if it is right.
const MAX_ATTEMPTS: i64 = 5;
/// Maximum number of valid requests of one subject and purpose.
const MAX_VALID_REQUESTS: usize = 5;
/// Time for which expired requests are kept: a second step that has begun can still be completed.
const RESERVATION_GRACE: Duration = Duration::from_secs(3600);
const VALIDATION_BYTES: usize = 24;
const VERIFICATION_CHARS: usize = 6;
/// Characters of verification codes, without those that are easily confused: 0 and O, 1, I and L, 2
/// and Z, 5 and S, 8 and B, and U, which is confused with V.
const ALPHABET: &[u8; 24] = b"34679ACDEFGHJKMNPQRTVWXY";

/// Both codes in plain text.
#[derive(Debug, Clone)]
pub(crate) struct CodePair {
    /// Returned to the program that makes the request.
    pub(crate) validation_code: String,
    /// Mailed to the user.
    pub(crate) verification_code: String,
}

/// Input of a client in a second step.
pub(crate) struct CodeAttempt {
    pub(crate) purpose: Purpose,
    pub(crate) codes: CodePair,
    /// Values that must be those of the first step, such as the user and the address.
    pub(crate) binding: Vec<String>,
}

/// Creates and verifies codes.
#[derive(Clone)]
pub(crate) struct Codes {
    key: Arc<hmac::Key>,
}

impl Codes {
    /// Loads the HMAC key, and creates it at the first start.
    ///
    /// # Errors
    /// [`Error::Seal`] if the master key is not the one that sealed it, and database errors.
    pub(crate) async fn start(database: &Database, sealer: Arc<Sealer>) -> Result<Self, Error> {
        let work = move |connection: &mut AnyConnection| {
            secrets::find_or_create(connection, &sealer, secrets::CODE_HMAC_KEY)
        };
        Ok(Self {
            key: Arc::new(hmac::Key::new(HMAC_SHA256, &database.write(work).await?)),
        })
    }

    /// Creates a code without storing it.
    ///
    /// # Errors
    /// [`Error::Internal`] if the system has no random numbers.
    pub(crate) fn create(
        &self,
        purpose: Purpose,
        subject: String,
        bindings: &[&[&str]],
        now: Timestamp,
    ) -> Result<(Code, CodePair), Error> {
        let validation = URL_SAFE_NO_PAD.encode(secrets::random_bytes::<VALIDATION_BYTES>()?);
        let pair = CodePair {
            validation_code: validation,
            verification_code: random_code()?,
        };
        let code = Code {
            validation_code_hash: validation_code_hash(&pair.validation_code),
            purpose,
            subject,
            codes_hmac: self.codes_hmac(&pair),
            binding_hmacs: bindings
                .iter()
                .map(|parts| self.binding_hmac(purpose, parts))
                .collect(),
            signup: None,
            failed_attempts: 0,
            expires_at: now.saturating_add(LIFETIME),
            is_from_known_network: false,
        };
        Ok((code, pair))
    }

    /// Returns the code if both codes and the binding are right. Otherwise the failed attempt is
    /// counted, so the caller must commit the transaction even if there is no code.
    ///
    /// # Errors
    /// Database errors.
    pub(crate) fn verify(
        &self,
        connection: &mut AnyConnection,
        attempt: &CodeAttempt,
        now: Timestamp,
    ) -> Result<Option<Code>, Error> {
        let CodeAttempt {
            purpose,
            codes,
            binding,
        } = attempt;
        let validation = validation_code_hash(&codes.validation_code);
        let Some(code) = store::code::find_locked(connection, &validation, *purpose)? else {
            return Ok(None);
        };
        if code.failed_attempts >= MAX_ATTEMPTS || code.expires_at <= now {
            return Ok(None);
        }
        // Both are compared in any case, so the response time does not show which of them is wrong.
        let is_verified = secrets::constant_time_eq(&code.codes_hmac, &self.codes_hmac(codes));
        let binding: Vec<&str> = binding.iter().map(String::as_str).collect();
        let binding = self.binding_hmac(*purpose, &binding);
        // All bindings are compared, even after a match, for the same reason.
        let matching_bindings = code
            .binding_hmacs
            .iter()
            .filter(|expected| secrets::constant_time_eq(expected, &binding))
            .count();
        if is_verified && matching_bindings > 0 {
            return Ok(Some(code));
        }
        store::code::set_failed_attempts(connection, &validation, code.failed_attempts + 1)?;
        Ok(None)
    }

    fn codes_hmac(&self, pair: &CodePair) -> String {
        // People type the code: spaces around it and lower case are accepted.
        let typed = pair.verification_code.trim().to_ascii_uppercase();
        self.hmac_parts(&["verification", &pair.validation_code, &typed])
    }

    fn binding_hmac(&self, purpose: Purpose, parts: &[&str]) -> String {
        let mut all = vec!["binding", purpose.as_str()];
        all.extend(parts);
        self.hmac_parts(&all)
    }

    /// Returns the HMAC of the parts, each preceded by its length. Without the lengths, moving a
    /// character from one part to the next would give the same HMAC.
    fn hmac_parts(&self, parts: &[&str]) -> String {
        let mut context = hmac::Context::with_key(&self.key);
        for part in parts {
            context.update(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
            context.update(part.as_bytes());
        }
        STANDARD.encode(context.sign().as_ref())
    }
}

/// Counts a failed attempt of a request whose codes were right but whose password was wrong.
///
/// # Errors
/// Database errors.
pub(crate) fn count_failed_attempt(
    connection: &mut AnyConnection,
    code: &Code,
) -> Result<(), Error> {
    if let Some(code) =
        store::code::find_locked(connection, &code.validation_code_hash, code.purpose)?
    {
        store::code::set_failed_attempts(
            connection,
            &code.validation_code_hash,
            code.failed_attempts + 1,
        )?;
    }
    Ok(())
}

/// Stores a request, and invalidates the oldest request of its subject if there are too many. A
/// request from a known network is invalidated only for another one from a known network. Returns
/// the hashes of the validation codes of the invalidated requests.
///
/// # Errors
/// [`Error::Throttled`] if all other requests are from known networks and this one is not, and
/// database errors.
pub(crate) fn insert(
    connection: &mut AnyConnection,
    code: Code,
    now: Timestamp,
) -> Result<Vec<String>, Error> {
    store::code::lock_subject(connection, code.purpose, &code.subject)?;
    let mut valid =
        store::code::list_valid(connection, code.purpose, &code.subject, MAX_ATTEMPTS, now)?;
    let mut invalidated = Vec::new();
    while valid.len() >= MAX_VALID_REQUESTS {
        let Some(oldest) = position_to_invalidate(&valid, code.is_from_known_network) else {
            // There is room again when the first request expires.
            let first_to_expire = valid
                .iter()
                .map(|request| request.expires_at.as_micros())
                .min();
            let wait = first_to_expire.map_or(0, |at| at.saturating_sub(now.as_micros()));
            return Err(Error::Throttled(Duration::from_micros(wait.unsigned_abs())));
        };
        let oldest = valid.remove(oldest).validation;
        store::code::delete(connection, &oldest)?;
        invalidated.push(oldest);
    }
    store::code::insert(connection, code)?;
    Ok(invalidated)
}

/// Returns the position of the request to invalidate for a new one; `valid` has the oldest first.
/// None if the new request is from an unknown network and all others are from known ones.
fn position_to_invalidate(valid: &[ValidRequest], for_known_network: bool) -> Option<usize> {
    let oldest_from_unknown_network = valid
        .iter()
        .position(|request| !request.is_from_known_network);
    oldest_from_unknown_network.or((for_known_network && !valid.is_empty()).then_some(0))
}

/// Reserves a verified code because its second step has begun. No later request invalidates it, and
/// all other requests of its subject end, so at most one of them succeeds. Returns false if the
/// code does not exist any more.
///
/// # Errors
/// Database errors.
pub(crate) fn begin(connection: &mut AnyConnection, code: &Code) -> Result<bool, Error> {
    let Some(code) =
        store::code::find_locked(connection, &code.validation_code_hash, code.purpose)?
    else {
        return Ok(false);
    };
    store::code::set_reserved(connection, &code.validation_code_hash)?;
    store::code::delete_other_requests(connection, &code)?;
    Ok(true)
}

/// Deletes a verified code and all other requests of its subject, and returns the code. The caller
/// does this in the transaction that makes the change: of several calls at once, one gets the code,
/// and the others get None.
///
/// # Errors
/// Database errors.
pub(crate) fn use_up(
    connection: &mut AnyConnection,
    purpose: Purpose,
    validation_code: &str,
) -> Result<Option<Code>, Error> {
    let code =
        store::code::find_locked(connection, &validation_code_hash(validation_code), purpose)?;
    if let Some(code) = &code {
        store::code::delete_for_subject(connection, purpose, &code.subject)?;
    }
    Ok(code)
}

/// Deletes requests that have been expired for an hour.
///
/// # Errors
/// Database errors.
pub(crate) fn delete_expired(connection: &mut AnyConnection, now: Timestamp) -> Result<(), Error> {
    Ok(store::code::delete_expired(
        connection,
        now.saturating_sub(RESERVATION_GRACE),
    )?)
}

fn validation_code_hash(validation_code: &str) -> String {
    sha256_base64(validation_code)
}

fn random_code() -> Result<String, Error> {
    let mut code = String::with_capacity(VERIFICATION_CHARS);
    while code.len() < VERIFICATION_CHARS {
        let [byte] = secrets::random_bytes::<1>()?;
        // Bytes from 240 (10 x 24) are skipped, so that all 24 characters are equally likely.
        if byte < 240
            && let Some(char) = ALPHABET.get(usize::from(byte) % ALPHABET.len())
        {
            code.push(char::from(*char));
        }
    }
    Ok(code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_networks_never_invalidate_requests_from_known_ones() {
        let valid = |from_known: &[bool]| -> Vec<ValidRequest> {
            let request = |is_from_known_network: &bool| ValidRequest {
                validation: String::new(),
                is_from_known_network: *is_from_known_network,
                expires_at: Timestamp::default(),
            };
            from_known.iter().map(request).collect()
        };
        for (from_known, for_stranger, for_owner) in [
            (&[false, false, false, false, false], Some(0), Some(0)),
            (&[true, true, false, true, false], Some(2), Some(2)),
            (&[true, true, true, true, true], None, Some(0)),
        ] {
            assert_eq!(
                position_to_invalidate(&valid(from_known), false),
                for_stranger,
                "{from_known:?}"
            );
            assert_eq!(
                position_to_invalidate(&valid(from_known), true),
                for_owner,
                "{from_known:?}"
            );
        }
    }

    #[test]
    fn codes_use_unambiguous_characters() {
        for _ in 0..100 {
            let code = random_code().unwrap();
            assert_eq!(code.len(), 6);
            assert!(code.bytes().all(|byte| ALPHABET.contains(&byte)), "{code}");
        }
        assert_ne!(
            (random_code().unwrap(), random_code().unwrap()),
            (random_code().unwrap(), random_code().unwrap())
        );
    }

    #[test]
    fn mac_depends_on_the_boundaries_of_its_parts() {
        let codes = Codes {
            key: Arc::new(hmac::Key::new(HMAC_SHA256, &[1; 32])),
        };
        assert_ne!(
            codes.hmac_parts(&["ab", "c"]),
            codes.hmac_parts(&["a", "bc"])
        );
        assert_ne!(codes.hmac_parts(&["ab"]), codes.hmac_parts(&["ab", ""]));
    }
}
