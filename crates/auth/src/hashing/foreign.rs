//! Hashes of other systems: checked as they are, replaced by ours at the next login.

use std::num::NonZeroU32;

use aws_lc_rs::pbkdf2::{self, PBKDF2_HMAC_SHA1, PBKDF2_HMAC_SHA256, PBKDF2_HMAC_SHA512};
use password_hash::phc::PasswordHash;

use crate::Error;

const MAX_PBKDF2_ROUNDS: u32 = 5_000_000;
const MAX_BCRYPT_COST: u32 = 15;
/// 2^20 blocks of r = 8 would take 1 GiB.
const MAX_SCRYPT_BYTES: u64 = 256 * 1024 * 1024;
const MAX_SCRYPT_WORK: u64 = 1024 * 1024 * 1024;
const MAX_TEXT_BYTES: usize = 1024;

#[derive(Clone, Copy)]
pub(super) struct Algorithm {
    name: &'static str,
    prf: pbkdf2::Algorithm,
}

const SHA1: Algorithm = Algorithm { name: "sha1", prf: PBKDF2_HMAC_SHA1 };
const SHA256: Algorithm = Algorithm { name: "sha256", prf: PBKDF2_HMAC_SHA256 };
const SHA512: Algorithm = Algorithm { name: "sha512", prf: PBKDF2_HMAC_SHA512 };

pub(super) enum Foreign {
    Bcrypt(String),
    Pbkdf2 { algorithm: Algorithm, rounds: NonZeroU32, salt: Vec<u8>, output: Vec<u8> },
    Scrypt { params: scrypt::Params, salt: Vec<u8>, output: Vec<u8> },
}

impl Foreign {
    pub(super) fn parse(text: &str) -> Result<Self, Error> {
        if text.len() > MAX_TEXT_BYTES {
            return Err(Error::UnusableHash("the hash is too long"));
        }
        if let Some(rest) = text.strip_prefix("pbkdf2_sha256$") {
            return parse_django(rest);
        }
        if ["$2a$", "$2b$", "$2y$"].iter().any(|prefix| text.starts_with(prefix)) {
            return parse_bcrypt(text);
        }
        if text.starts_with("$scrypt$") || text.starts_with("$pbkdf2") {
            return parse_phc(text);
        }
        Err(Error::UnusableHash("not a hash of a kind that is known here"))
    }

    pub(super) fn kind(&self) -> String {
        match self {
            // `$2b$12$`: the version and the cost.
            Self::Bcrypt(text) => text.chars().take(7).collect(),
            Self::Pbkdf2 { algorithm, rounds, .. } => format!("pbkdf2-{} {rounds}", algorithm.name),
            Self::Scrypt { params, .. } => format!("scrypt {params:?}"),
        }
    }

    pub(super) fn matches(&self, password: &[u8]) -> bool {
        match self {
            Self::Bcrypt(text) => bcrypt::verify(password, text).unwrap_or(false),
            Self::Pbkdf2 { algorithm, rounds, salt, output } => {
                pbkdf2::verify(algorithm.prf, *rounds, salt, password, output).is_ok()
            }
            Self::Scrypt { params, salt, output } => {
                let mut computed = vec![0; output.len()];
                scrypt::scrypt(password, salt, params, &mut computed).is_ok()
                    && aws_lc_rs::constant_time::verify_slices_are_equal(&computed, output).is_ok()
            }
        }
    }
}

fn parse_bcrypt(text: &str) -> Result<Foreign, Error> {
    let malformed = || Error::UnusableHash("not a bcrypt hash");
    let parts: bcrypt::HashParts = text.parse().map_err(|_| malformed())?;
    if text.len() != 60 {
        return Err(malformed());
    }
    if parts.get_cost() > MAX_BCRYPT_COST {
        return Err(Error::UnusableHash("the bcrypt hash costs too much to check"));
    }
    Ok(Foreign::Bcrypt(text.to_owned()))
}

/// `pbkdf2_sha256$<rounds>$<salt as text>$<base64>`: django.contrib.auth.hashers.PBKDF2PasswordHasher.
fn parse_django(rest: &str) -> Result<Foreign, Error> {
    use base64::{Engine, engine::general_purpose::STANDARD};
    let malformed = || Error::UnusableHash("not a hash of Django's pbkdf2_sha256");
    let [rounds, salt, output] = rest.split('$').collect::<Vec<_>>().try_into().map_err(|_| malformed())?;
    let output = STANDARD.decode(output).map_err(|_| malformed())?;
    if output.len() != 32 || salt.is_empty() {
        return Err(malformed());
    }
    pbkdf2(SHA256, rounds.parse().map_err(|_| malformed())?, salt.as_bytes(), &output)
}

fn parse_phc(text: &str) -> Result<Foreign, Error> {
    let malformed = || Error::UnusableHash("not a PHC string of scrypt or pbkdf2");
    let phc = PasswordHash::new(text).map_err(|_| malformed())?;
    let (Some(salt), Some(output)) = (phc.salt, phc.hash) else {
        return Err(malformed());
    };
    let number = |name: &str| phc.params.get_decimal(name);
    let algorithm = match phc.algorithm.as_str() {
        "scrypt" => {
            let (Some(log_n), Some(r), Some(p)) = (number("ln"), number("r"), number("p")) else {
                return Err(malformed());
            };
            return parse_scrypt(log_n, r, p, salt.as_ref(), output.as_bytes());
        }
        "pbkdf2" | "pbkdf2-sha1" => SHA1,
        "pbkdf2-sha256" => SHA256,
        "pbkdf2-sha512" => SHA512,
        _ => return Err(malformed()),
    };
    let rounds = number("i").ok_or_else(malformed)?;
    pbkdf2(algorithm, rounds, salt.as_ref(), output.as_bytes())
}

fn pbkdf2(algorithm: Algorithm, rounds: u32, salt: &[u8], output: &[u8]) -> Result<Foreign, Error> {
    let rounds = NonZeroU32::new(rounds).ok_or(Error::UnusableHash("a hash of no rounds"))?;
    if rounds.get() > MAX_PBKDF2_ROUNDS {
        return Err(Error::UnusableHash("the pbkdf2 hash costs too much to check"));
    }
    Ok(Foreign::Pbkdf2 { algorithm, rounds, salt: salt.to_vec(), output: output.to_vec() })
}

fn parse_scrypt(log_n: u32, r: u32, p: u32, salt: &[u8], output: &[u8]) -> Result<Foreign, Error> {
    let too_much = Error::UnusableHash("the scrypt hash costs too much to check");
    let Some(bytes) = 1u64.checked_shl(log_n).and_then(|n| n.checked_mul(128 * u64::from(r))) else {
        return Err(too_much);
    };
    if log_n > 30 || bytes > MAX_SCRYPT_BYTES || bytes.saturating_mul(u64::from(p)) > MAX_SCRYPT_WORK {
        return Err(too_much);
    }
    let log_n = u8::try_from(log_n).unwrap_or(u8::MAX);
    let params = scrypt::Params::new(log_n, r, p).map_err(|_| Error::UnusableHash("impossible scrypt parameters"))?;
    Ok(Foreign::Scrypt { params, salt: salt.to_vec(), output: output.to_vec() })
}
