//! Codes of the calls in two steps: the first mails one, the second brings it back. It counts together with the validation
//! code, which only the answer to the first step tells: a code that is read over somebody's shoulder is worth nothing.

use std::{str::FromStr, sync::Arc, time::Duration};

use aws_lc_rs::{
    digest::{SHA256, digest},
    hmac::{self, HMAC_SHA256},
};
use base64::{
    Engine,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use doorward_domain::{Gid, Malformed, Timestamp};
use doorward_storage::{AnyConnection, Database};

use crate::{
    Error, Sealer, secrets,
    store::{self, code::ValidRequest},
};

pub(crate) const LIFETIME: Duration = Duration::from_secs(15 * 60);
const MAX_ATTEMPTS: i64 = 5;
/// Requests of one subject and purpose that are valid at the same time.
const MAX_VALID_REQUESTS: usize = 5;
/// A second step that has begun is finished, also when the code expires in the middle of it.
const RESERVATION_GRACE: Duration = Duration::from_secs(3600);
const VALIDATION_BYTES: usize = 24;
const VERIFICATION_CHARS: usize = 6;
/// Without those that are mistaken for each other: 0 and O, 1, I and L, 2 and Z, 5 and S, 8 and B, U (V stays).
const ALPHABET: &[u8; 24] = b"34679ACDEFGHJKMNPQRTVWXY";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    PendingSignup,
    /// Of a password.
    Reset,
    Email,
}

impl Purpose {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::PendingSignup => "signup",
            Self::Reset => "reset",
            Self::Email => "email",
        }
    }
}

impl FromStr for Purpose {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        [Self::PendingSignup, Self::Reset, Self::Email]
            .into_iter()
            .find(|purpose| purpose.as_str() == text)
            .ok_or(Malformed("no purpose of a code"))
    }
}

/// As it is stored.
#[derive(Debug)]
pub(crate) struct Code {
    /// SHA-256 of the validation code.
    pub(crate) validation_code_hash: String,
    pub(crate) purpose: Purpose,
    /// The account or mailbox that the request is about.
    pub(crate) subject: String,
    /// HMAC of both codes.
    pub(crate) codes_hmac: String,
    /// HMACs of what the second step must say besides: one of these. None: nothing will do.
    pub(crate) binding_hmacs: Vec<String>,
    pub(crate) signup: Option<PendingSignup>,
    pub(crate) failed_attempts: i64,
    pub(crate) expires_at: Timestamp,
    /// Whether the account had logged in from the network of the request.
    pub(crate) is_from_known_network: bool,
}

/// What is kept of a signup's first step.
#[derive(Debug)]
pub(crate) struct PendingSignup {
    /// By which the directory knows the same signup again.
    pub(crate) gid: Gid,
    pub(crate) password_hash: String,
}

/// Both codes, as people and programs see them.
#[derive(Debug, Clone)]
pub(crate) struct CodePair {
    /// For the program that asks.
    pub(crate) validation_code: String,
    /// For the mail.
    pub(crate) verification_code: String,
}

#[derive(Clone)]
pub(crate) struct Codes {
    key: Arc<hmac::Key>,
}

impl Codes {
    pub(crate) async fn start(database: &Database, sealer: Arc<Sealer>) -> Result<Self, Error> {
        let work = move |connection: &mut AnyConnection| {
            secrets::find_or_create(connection, &sealer, secrets::CODE_HMAC_KEY)
        };
        Ok(Self {
            key: Arc::new(hmac::Key::new(HMAC_SHA256, &database.write(work).await?)),
        })
    }

    /// A new code, which is not stored yet.
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

    /// The code, when all of it is right. When it isn't that is counted, so the caller's transaction must be committed.
    pub(crate) fn verify(
        &self,
        connection: &mut AnyConnection,
        purpose: Purpose,
        (typed, binding): (&CodePair, &[&str]),
        now: Timestamp,
    ) -> Result<Option<Code>, Error> {
        let validation = validation_code_hash(&typed.validation_code);
        let Some(code) = store::code::find_locked(connection, &validation, purpose)? else {
            return Ok(None);
        };
        if code.failed_attempts >= MAX_ATTEMPTS || code.expires_at <= now {
            return Ok(None);
        }
        let is_verified = secrets::constant_time_eq(&code.codes_hmac, &self.codes_hmac(typed));
        let binding = self.binding_hmac(purpose, binding);
        // Each is compared, also after one that is equal.
        let bound = code
            .binding_hmacs
            .iter()
            .filter(|expected| secrets::constant_time_eq(expected, &binding))
            .count();
        if is_verified && bound > 0 {
            return Ok(Some(code));
        }
        store::code::set_failed_attempts(connection, &validation, code.failed_attempts + 1)?;
        Ok(None)
    }

    fn codes_hmac(&self, pair: &CodePair) -> String {
        let typed = pair.verification_code.trim().to_ascii_uppercase();
        self.hmac_parts(&["verification", &pair.validation_code, &typed])
    }

    fn binding_hmac(&self, purpose: Purpose, parts: &[&str]) -> String {
        let mut all = vec!["binding", purpose.as_str()];
        all.extend(parts);
        self.hmac_parts(&all)
    }

    /// Of the parts and where each ends.
    fn hmac_parts(&self, parts: &[&str]) -> String {
        let mut context = hmac::Context::with_key(&self.key);
        for part in parts {
            context.update(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
            context.update(part.as_bytes());
        }
        STANDARD.encode(context.sign().as_ref())
    }
}

/// One more wrong try with what else belongs to a code that was right.
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

/// Stores a request, and invalidates the oldest of its subject when there are too many: one from a network that the account
/// has used only in favour of another from such a network. Returns the validation hashes of those that it has invalidated.
///
/// # Errors
/// [`Error::Throttled`] when all others are from networks that the account has used and this one is not, and
/// database errors.
pub(crate) fn insert(
    connection: &mut AnyConnection,
    code: Code,
    now: Timestamp,
) -> Result<Vec<String>, Error> {
    store::code::lock_subject(connection, code.purpose, &code.subject)?;
    let mut valid =
        store::code::list_valid(connection, (code.purpose, &code.subject), MAX_ATTEMPTS, now)?;
    let mut invalidated = Vec::new();
    while valid.len() >= MAX_VALID_REQUESTS {
        let Some(oldest) = position_to_invalidate(&valid, code.is_from_known_network) else {
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

/// The position of the request that makes room for a new one; they are ordered by age.
fn position_to_invalidate(valid: &[ValidRequest], for_known_network: bool) -> Option<usize> {
    let oldest_of_strangers = valid
        .iter()
        .position(|request| !request.is_from_known_network);
    oldest_of_strangers.or((for_known_network && !valid.is_empty()).then_some(0))
}

/// Notes that what the code stands for has begun: no request invalidates it any more, and all others of its subject end, so
/// that one of them succeeds at most. False when the code is gone by now.
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

/// Takes a code that was checked, in the transaction that does what it stands for: of many at once, one gets it. All other
/// requests of the same subject end.
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

pub(crate) fn delete_expired(connection: &mut AnyConnection, now: Timestamp) -> Result<(), Error> {
    Ok(store::code::delete_expired(
        connection,
        now.saturating_sub(RESERVATION_GRACE),
    )?)
}

/// An address as the subject of codes and topics: not in plain text.
pub(crate) fn sha256_base64(text: &str) -> String {
    URL_SAFE_NO_PAD.encode(digest(&SHA256, text.as_bytes()))
}

fn validation_code_hash(validation_code: &str) -> String {
    sha256_base64(validation_code)
}

fn random_code() -> Result<String, Error> {
    let mut code = String::with_capacity(VERIFICATION_CHARS);
    while code.len() < VERIFICATION_CHARS {
        let [byte] = secrets::random_bytes::<1>()?;
        // 240 is ten times 24: each character is as likely as any.
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
        for (from_known, of_stranger, of_owner) in [
            (&[false, false, false, false, false], Some(0), Some(0)),
            (&[true, true, false, true, false], Some(2), Some(2)),
            (&[true, true, true, true, true], None, Some(0)),
        ] {
            assert_eq!(
                position_to_invalidate(&valid(from_known), false),
                of_stranger,
                "{from_known:?}"
            );
            assert_eq!(
                position_to_invalidate(&valid(from_known), true),
                of_owner,
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
