//! Password hashes of other systems, from an import. They are verified as they are, and replaced by
//! argon2id at the next login.

use std::{num::NonZeroU32, ops::RangeInclusive};

use aws_lc_rs::pbkdf2::{self, PBKDF2_HMAC_SHA1, PBKDF2_HMAC_SHA256, PBKDF2_HMAC_SHA512};
use base64::{
    Engine,
    engine::general_purpose::{STANDARD, STANDARD_NO_PAD},
};
use password_hash::phc::PasswordHash;

use crate::error::Error;

/// Maximum number of rounds of pbkdf2.
const MAX_PBKDF2_ROUNDS: u32 = 5_000_000;
/// Accepted costs of bcrypt (log2 of the rounds). 4 is the minimum of bcrypt itself.
const BCRYPT_COSTS: RangeInclusive<u32> = 4..=15;
/// Maximum memory of scrypt. As an example, N = 2^20 with r = 8 would take 1 GiB.
const MAX_SCRYPT_BYTES: u64 = 256 * 1024 * 1024;
/// Maximum product of the memory and the parallelization of scrypt.
const MAX_SCRYPT_WORK: u64 = 1024 * 1024 * 1024;
/// Maximum length of a hash. It is checked before parsing.
const MAX_TEXT_BYTES: usize = 1024;

/// Hash function of pbkdf2.
#[derive(Clone, Copy)]
pub(crate) struct Algorithm {
    name: &'static str,
    prf: pbkdf2::Algorithm,
    digest_bytes: usize,
}

const SHA1: Algorithm = Algorithm {
    name: "sha1",
    prf: PBKDF2_HMAC_SHA1,
    digest_bytes: 20,
};
const SHA256: Algorithm = Algorithm {
    name: "sha256",
    prf: PBKDF2_HMAC_SHA256,
    digest_bytes: 32,
};
const SHA512: Algorithm = Algorithm {
    name: "sha512",
    prf: PBKDF2_HMAC_SHA512,
    digest_bytes: 64,
};

/// A parsed hash whose cost is within the limits.
pub(crate) enum ForeignHash {
    Bcrypt(String),
    Pbkdf2 {
        algorithm: Algorithm,
        rounds: NonZeroU32,
        salt: Vec<u8>,
        output: Vec<u8>,
    },
    Scrypt {
        params: scrypt::Params,
        salt: Vec<u8>,
        output: Vec<u8>,
    },
}

impl ForeignHash {
    /// Parses a hash of a supported format.
    ///
    /// # Errors
    /// [`Error::UnusableHash`] if the format is unsupported, or the hash is too costly to verify.
    pub(crate) fn parse(text: &str) -> Result<Self, Error> {
        if text.len() > MAX_TEXT_BYTES {
            return Err(Error::UnusableHash("the hash is too long"));
        }
        if let Some(rest) = text.strip_prefix("pbkdf2_sha256$") {
            return parse_django(rest);
        }
        if ["$2a$", "$2b$", "$2y$"]
            .iter()
            .any(|prefix| text.starts_with(prefix))
        {
            return parse_bcrypt(text);
        }
        if text.starts_with("$pbkdf2") {
            return parse_pbkdf2(text);
        }
        if text.starts_with("$scrypt$") {
            return parse_scrypt(text);
        }
        Err(Error::UnusableHash(
            "not a hash of a kind that is known here",
        ))
    }

    /// Returns the kind of the hash for the timing padding: hashes of one kind take the same time.
    pub(crate) fn cost_kind(&self) -> String {
        match self {
            // The version and the cost, such as `$2b$12$`.
            Self::Bcrypt(text) => text.chars().take(7).collect(),
            Self::Pbkdf2 {
                algorithm, rounds, ..
            } => format!("pbkdf2-{} {rounds}", algorithm.name),
            Self::Scrypt { params, .. } => format!("scrypt {params:?}"),
        }
    }

    /// Returns whether the password matches. The comparison takes constant time.
    pub(crate) fn matches(&self, password: &[u8]) -> bool {
        match self {
            // bcrypt uses the first 72 bytes of the password, like most libraries.
            Self::Bcrypt(text) => bcrypt::verify(password, text).unwrap_or(false),
            Self::Pbkdf2 {
                algorithm,
                rounds,
                salt,
                output,
            } => pbkdf2::verify(algorithm.prf, *rounds, salt, password, output).is_ok(),
            Self::Scrypt {
                params,
                salt,
                output,
            } => {
                let mut computed = vec![0; output.len()];
                scrypt::scrypt(password, salt, params, &mut computed).is_ok()
                    && aws_lc_rs::constant_time::verify_slices_are_equal(&computed, output).is_ok()
            }
        }
    }
}

fn parse_bcrypt(text: &str) -> Result<ForeignHash, Error> {
    let malformed = || Error::UnusableHash("not a bcrypt hash");
    let parts: bcrypt::HashParts = text.parse().map_err(|_| malformed())?;
    match parts.get_cost() {
        cost if BCRYPT_COSTS.contains(&cost) => Ok(ForeignHash::Bcrypt(text.to_owned())),
        cost if cost < *BCRYPT_COSTS.start() => Err(malformed()),
        _ => Err(Error::UnusableHash(
            "the bcrypt hash costs too much to check",
        )),
    }
}

/// Parses Django's `pbkdf2_sha256$<rounds>$<salt as text>$<base64>`, without its first part
/// (django.contrib.auth.hashers.PBKDF2PasswordHasher).
fn parse_django(rest: &str) -> Result<ForeignHash, Error> {
    let malformed = || Error::UnusableHash("not a pbkdf2_sha256 hash of Django");
    let [rounds, salt, output] = rest
        .split('$')
        .collect::<Vec<_>>()
        .try_into()
        .map_err(|_| malformed())?;
    let output = STANDARD.decode(output).map_err(|_| malformed())?;
    if output.len() != SHA256.digest_bytes || salt.is_empty() {
        return Err(malformed());
    }
    new_pbkdf2(
        SHA256,
        rounds.parse().map_err(|_| malformed())?,
        salt.as_bytes().to_vec(),
        output,
    )
}

/// Parses a PHC string, `$pbkdf2-sha256$i=<rounds>$<salt>$<output>`, or the format of passlib,
/// which has the number of rounds without `i=`.
fn parse_pbkdf2(text: &str) -> Result<ForeignHash, Error> {
    let malformed =
        || Error::UnusableHash("not a pbkdf2 hash as a PHC string or in the format of passlib");
    let ["", name, rounds, salt, output] = *text.split('$').collect::<Vec<_>>() else {
        return Err(malformed());
    };
    let algorithm = match name {
        "pbkdf2" | "pbkdf2-sha1" => SHA1,
        "pbkdf2-sha256" => SHA256,
        "pbkdf2-sha512" => SHA512,
        _ => return Err(malformed()),
    };
    let Ok(rounds) = rounds.parse() else {
        let phc = PasswordHash::new(text).map_err(|_| malformed())?;
        let (Some(rounds), Some(salt), Some(output)) =
            (phc.params.get_decimal("i"), phc.salt, phc.hash)
        else {
            return Err(malformed());
        };
        return new_pbkdf2(
            algorithm,
            rounds,
            salt.as_ref().to_vec(),
            output.as_bytes().to_vec(),
        );
    };
    let salt = decode_passlib_base64(salt)?;
    let output = decode_passlib_base64(output)?;
    if output.len() != algorithm.digest_bytes || salt.is_empty() {
        return Err(malformed());
    }
    new_pbkdf2(algorithm, rounds, salt, output)
}

/// Decodes the base64 of passlib, with `.` for `+` and without padding
/// (`passlib.utils.binary.ab64_encode`).
fn decode_passlib_base64(text: &str) -> Result<Vec<u8>, Error> {
    STANDARD_NO_PAD
        .decode(text.replace('.', "+"))
        .map_err(|_| Error::UnusableHash("not the base64 of passlib"))
}

fn new_pbkdf2(
    algorithm: Algorithm,
    rounds: u32,
    salt: Vec<u8>,
    output: Vec<u8>,
) -> Result<ForeignHash, Error> {
    let rounds =
        NonZeroU32::new(rounds).ok_or(Error::UnusableHash("a pbkdf2 hash with zero rounds"))?;
    if rounds.get() > MAX_PBKDF2_ROUNDS {
        return Err(Error::UnusableHash(
            "the pbkdf2 hash costs too much to check",
        ));
    }
    Ok(ForeignHash::Pbkdf2 {
        algorithm,
        rounds,
        salt,
        output,
    })
}

/// Parses a PHC string: `$scrypt$ln=<log2 of N>,r=<r>,p=<p>$<salt>$<output>`.
fn parse_scrypt(text: &str) -> Result<ForeignHash, Error> {
    let malformed = || Error::UnusableHash("not a PHC string of scrypt");
    let phc = PasswordHash::new(text).map_err(|_| malformed())?;
    let number = |name: &str| phc.params.get_decimal(name).ok_or_else(malformed);
    let log_n = number("ln")?;
    let r = number("r")?;
    let p = number("p")?;
    let (Some(salt), Some(output)) = (phc.salt, phc.hash) else {
        return Err(malformed());
    };
    let too_costly = Error::UnusableHash("the scrypt hash costs too much to check");
    let Some(bytes) = 1u64
        .checked_shl(log_n)
        // scrypt uses 128 * N * r bytes (RFC 7914).
        .and_then(|n| n.checked_mul(128 * u64::from(r)))
    else {
        return Err(too_costly);
    };
    if log_n > 30
        || bytes > MAX_SCRYPT_BYTES
        || bytes.saturating_mul(u64::from(p)) > MAX_SCRYPT_WORK
    {
        return Err(too_costly);
    }
    let log_n = u8::try_from(log_n).unwrap_or(u8::MAX);
    let params = scrypt::Params::new(log_n, r, p)
        .map_err(|_| Error::UnusableHash("the scrypt parameters are invalid"))?;
    Ok(ForeignHash::Scrypt {
        params,
        salt: salt.as_ref().to_vec(),
        output: output.as_bytes().to_vec(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIGEST: &str = "EEf1JL7ZaQGBk7gvJMuHxpVd/4jw1lTT0jgJ4qXiRqI";

    #[test]
    fn rounds_and_costs_are_accepted_up_to_their_limits() {
        let pbkdf2 = |rounds: &str| {
            [
                format!("$pbkdf2-sha256${rounds}$c2FsdA${DIGEST}"),
                format!("$pbkdf2-sha256$i={rounds}$c2FsdCBvZiBz${DIGEST}"),
                format!("pbkdf2_sha256${rounds}$salt${DIGEST}="),
            ]
        };
        let bcrypt = |cost: u8| {
            format!("$2b${cost:02}$abcdefghijklmnopqrstuuKBd35sRbafNVpQzEoJOvNL1uAoC9zW6")
        };
        let good = [pbkdf2("1"), pbkdf2("5000000")]
            .concat()
            .into_iter()
            .chain([bcrypt(4), bcrypt(15)]);
        for text in good {
            assert!(ForeignHash::parse(&text).is_ok(), "{text}");
        }
        let bad = [
            pbkdf2("0"),
            pbkdf2("-1"),
            pbkdf2(""),
            pbkdf2("5000001"),
            pbkdf2("4294967296"),
        ]
        .concat();
        for text in bad.into_iter().chain([bcrypt(3), bcrypt(16), bcrypt(31)]) {
            assert!(ForeignHash::parse(&text).is_err(), "{text}");
        }
    }

    #[test]
    fn incomplete_hash_is_rejected() {
        for text in [
            format!("$pbkdf2-sha256$29000$c2FsdA${}", &DIGEST[..42]),
            format!("$pbkdf2-sha256$29000$c2FsdA${DIGEST}="),
            format!("$pbkdf2-sha256$29000$c2FsdA${DIGEST}$"),
            format!("$pbkdf2-sha256$29000$${DIGEST}"),
            format!("$pbkdf2-sha512$29000$c2FsdA${DIGEST}"),
            format!("$pbkdf2-sha256$29000$c2F_dA${DIGEST}"),
            format!("$pbkdf2-md5$29000$c2FsdA${DIGEST}"),
            "$pbkdf2-sha256$i=29000$c2FsdCBvZiBz".to_owned(),
            format!("pbkdf2_sha256$29000$${DIGEST}="),
            format!("$scrypt$ln=10,r=8$c2FsdCBvZiBz${DIGEST}"),
            "$2b$04$abcdefghijklmnopqrstuuKBd35sRbafNVpQzEoJOvNL1uAoC9zW".to_owned(),
            "$2b$04$abcdefghijklmnopqrstuuKBd35sRbafNVpQzEoJOvNL1uAoC9z!6".to_owned(),
            "$2x$04$abcdefghijklmnopqrstuuKBd35sRbafNVpQzEoJOvNL1uAoC9zW6".to_owned(),
        ] {
            assert!(ForeignHash::parse(&text).is_err(), "{text}");
        }
    }
}
