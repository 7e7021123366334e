//! Stored password hashes: argon2 as a PHC string, which Doorward creates, or a foreign hash from
//! an import. Costs are checked when a hash is parsed, so every parsed hash can be verified.

use argon2::{Algorithm, Argon2, Params, Version};
use aws_lc_rs::{constant_time::verify_slices_are_equal, rand};
use password_hash::phc::{Output, PasswordHash, Salt};

use crate::{
    config::HashingConfig,
    error::Error,
    passwords::hashing::{foreign::ForeignHash, pool::Memory},
};

const SALT_BYTES: usize = 16;
const OUTPUT_BYTES: usize = 32;
/// Maximum memory of a stored hash: 256 MiB. A costlier one would slow down every other login.
const MAX_MEMORY_KIB: u32 = 256 * 1024;
/// Maximum product of memory and passes: the work of 64 passes over 64 MiB.
const MAX_WORK_KIB: u64 = 64 * 64 * 1024;
/// Maximum number of lanes.
const MAX_LANES: u32 = 64;

/// Returns whether an argon2 hash with these parameters is accepted.
#[must_use]
pub fn is_within_cost_limit(memory_kib: u32, passes: u32, lanes: u32) -> bool {
    let work = u64::from(memory_kib) * u64::from(passes);
    memory_kib <= MAX_MEMORY_KIB && work <= MAX_WORK_KIB && lanes <= MAX_LANES
}

/// A password hash that can be verified at a bounded cost.
pub struct StoredHash {
    form: HashFormat,
}

enum HashFormat {
    Argon2 {
        algorithm: Algorithm,
        version: Version,
        params: Params,
        salt: Vec<u8>,
        output: Vec<u8>,
    },
    ForeignHash(ForeignHash),
}

impl StoredHash {
    /// Parses a PHC string of argon2, scrypt or pbkdf2, passlib's pbkdf2, bcrypt's `$2a$`, `$2b$`,
    /// `$2y$`, or Django's `pbkdf2_sha256$`.
    ///
    /// # Errors
    /// [`Error::UnusableHash`] if the format is another, or the hash is too costly to verify.
    pub fn parse(text: &str) -> Result<Self, Error> {
        if text.starts_with("$argon2") {
            parse_argon2(text)
        } else {
            ForeignHash::parse(text).map(HashFormat::ForeignHash)
        }
        .map(|form| Self { form })
    }

    /// Returns the dummy hash: it is random, so no password matches, and it costs as much as a new
    /// hash.
    ///
    /// # Errors
    /// [`Error::UnusableHash`] or [`Error::Internal`] if the settings are invalid.
    pub(crate) fn dummy(config: &HashingConfig) -> Result<Self, Error> {
        let form = HashFormat::Argon2 {
            algorithm: Algorithm::Argon2id,
            version: Version::V0x13,
            params: argon2_params(config)?,
            salt: random_bytes(SALT_BYTES)?,
            output: random_bytes(OUTPUT_BYTES)?,
        };
        Ok(Self { form })
    }

    /// Returns whether the password matches. The comparison takes constant time.
    pub(crate) fn matches(&self, password: &[u8], memory: &mut Memory) -> bool {
        match &self.form {
            HashFormat::Argon2 {
                algorithm,
                version,
                params,
                salt,
                output,
            } => {
                let argon2 = Argon2::new(*algorithm, *version, params.clone());
                let mut computed = vec![0; output.len()];
                let result = memory.with_blocks(params.block_count(), |blocks| {
                    argon2.hash_password_into_with_memory(password, salt, &mut computed, blocks)
                });
                result.is_ok() && verify_slices_are_equal(&computed, output).is_ok()
            }
            HashFormat::ForeignHash(foreign) => foreign.matches(password),
        }
    }

    /// Returns the kind of the hash for the timing padding: hashes of one kind take the same time.
    pub(crate) fn cost_kind(&self) -> String {
        match &self.form {
            HashFormat::Argon2 {
                algorithm, params, ..
            } => {
                format!(
                    "{algorithm} m={} t={} p={}",
                    params.m_cost(),
                    params.t_cost(),
                    params.p_cost()
                )
            }
            HashFormat::ForeignHash(foreign) => foreign.cost_kind(),
        }
    }

    /// Returns whether a new hash of the same password would be stronger.
    pub(crate) fn is_outdated(&self, config: &HashingConfig) -> bool {
        match &self.form {
            HashFormat::Argon2 {
                algorithm,
                version,
                params,
                output,
                ..
            } => {
                *algorithm != Algorithm::Argon2id
                    || *version != Version::V0x13
                    || params.m_cost() < config.memory_kib
                    || params.t_cost() < config.passes
                    || params.p_cost() != config.lanes
                    || output.len() < OUTPUT_BYTES
            }
            HashFormat::ForeignHash(_) => true,
        }
    }
}

/// Computes a new hash with a random salt, as a PHC string.
///
/// # Errors
/// [`Error::Internal`] if hashing fails.
pub(crate) fn hash_password(
    password: &[u8],
    config: &HashingConfig,
    memory: &mut Memory,
) -> Result<String, Error> {
    let params = argon2_params(config)?;
    let salt = random_bytes(SALT_BYTES)?;
    let mut output = [0; OUTPUT_BYTES];
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params.clone());
    memory
        .with_blocks(params.block_count(), |blocks| {
            argon2.hash_password_into_with_memory(password, &salt, &mut output, blocks)
        })
        .map_err(|_| Error::Internal("failed to compute an argon2id hash"))?;
    let failed = |_| Error::Internal("failed to write a hash as a PHC string");
    let phc = PasswordHash {
        algorithm: Algorithm::Argon2id.into(),
        version: Some(Version::V0x13.into()),
        params: (&params)
            .try_into()
            .map_err(|_| Error::Internal("failed to write the parameters of a hash"))?,
        salt: Some(Salt::new(&salt).map_err(failed)?),
        hash: Some(Output::new(&output).map_err(failed)?),
    };
    Ok(phc.to_string())
}

fn argon2_params(config: &HashingConfig) -> Result<Params, Error> {
    if !is_within_cost_limit(config.memory_kib, config.passes, config.lanes) {
        return Err(Error::UnusableHash(
            "the argon2id settings cost more than any stored hash may",
        ));
    }
    Params::new(
        config.memory_kib,
        config.passes,
        config.lanes,
        Some(OUTPUT_BYTES),
    )
    .map_err(|_| Error::Internal("the argon2id settings are invalid"))
}

fn random_bytes(bytes: usize) -> Result<Vec<u8>, Error> {
    let mut random = vec![0; bytes];
    rand::fill(&mut random)
        .map_err(|_| Error::Internal("the system provides no random numbers"))?;
    Ok(random)
}

fn parse_argon2(text: &str) -> Result<HashFormat, Error> {
    let malformed = Error::UnusableHash("not a PHC string of argon2");
    let Ok(phc) = PasswordHash::new(text) else {
        return Err(malformed);
    };
    let (Ok(algorithm), Ok(params), Some(salt), Some(output)) = (
        Algorithm::try_from(phc.algorithm.as_str()),
        Params::try_from(&phc),
        phc.salt,
        phc.hash,
    ) else {
        return Err(malformed);
    };
    // PHC strings of argon2 version 1.0 have no version.
    let version = phc
        .version
        .map_or(Ok(Version::V0x10), Version::try_from)
        .map_err(|_| malformed)?;
    if !is_within_cost_limit(params.m_cost(), params.t_cost(), params.p_cost()) {
        return Err(Error::UnusableHash(
            "the argon2 hash costs too much to check",
        ));
    }
    Ok(HashFormat::Argon2 {
        algorithm,
        version,
        params,
        salt: salt.as_ref().to_vec(),
        output: output.as_bytes().to_vec(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONFIG: HashingConfig = HashingConfig {
        memory_kib: 64,
        passes: 1,
        lanes: 1,
        worker_threads: 1,
        max_queued: 1,
    };

    #[test]
    fn hash_matches_only_its_password() {
        let mut memory = Memory::default();
        let text = hash_password(b"correct horse", &CONFIG, &mut memory).unwrap();
        assert!(text.starts_with("$argon2id$v=19$m=64,t=1,p=1$"), "{text}");
        let stored = StoredHash::parse(&text).unwrap();
        assert!(stored.matches(b"correct horse", &mut memory));
        assert!(!stored.matches(b"correct horsf", &mut memory));
        assert!(!stored.is_outdated(&CONFIG));
        assert!(stored.is_outdated(&HashingConfig {
            passes: 2,
            ..CONFIG
        }));
        assert!(
            !StoredHash::dummy(&CONFIG)
                .unwrap()
                .matches(b"", &mut memory)
        );
    }

    #[test]
    fn hashes_of_reference_implementations_match() {
        // Computed by the reference implementation:
        // echo -n password | argon2 somesalt -id -t 2 -m 16 -p 1
        let stored = "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc";
        let stored = StoredHash::parse(stored).unwrap();
        assert!(stored.matches(b"password", &mut Memory::default()));
        assert!(!stored.matches(b"Password", &mut Memory::default()));
    }

    #[test]
    fn too_costly_hashes_are_rejected() {
        for text in [
            "$argon2id$v=19$m=4194304,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc",
            "$argon2id$v=19$m=65536,t=4000,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc",
            "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ",
            "$argon2x$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc",
            "$argon2id$",
        ] {
            assert!(StoredHash::parse(text).is_err(), "{text}");
        }
    }
}
