//! Remembering which tokens were verified: a signature is checked once, what changes with time each time.

use aws_lc_rs::digest::{SHA256, digest};
use doorward_domain::Timestamp;
use moka::sync::Cache;

use crate::{Claims, KeySet, Refused, Verifier};

/// About 1 KiB each.
const MAX_CACHED_TOKENS: u64 = 10_000;

/// A [`Verifier`] with a bounded memory. It holds fingerprints, no tokens.
pub struct CachingVerifier {
    verifier: Verifier,
    verified: Cache<[u8; 32], CachedToken>,
}

#[derive(Clone)]
struct CachedToken {
    /// The thumbprint of the key, and so the very key.
    kid: String,
    claims: Claims,
}

impl CachingVerifier {
    #[must_use]
    pub fn new(issuer: &str) -> Self {
        Self {
            verifier: Verifier::new(issuer),
            verified: Cache::new(MAX_CACHED_TOKENS),
        }
    }

    /// Takes a token as verified that was signed here, with the key of this id.
    pub fn insert_verified(&self, token: &str, kid: &str, claims: Claims) {
        self.verified.insert(
            fingerprint(token),
            CachedToken {
                kid: kid.to_owned(),
                claims,
            },
        );
    }

    /// As [`Verifier::verify`]: a key that is gone and a time that has come count at once.
    ///
    /// # Errors
    /// When the token is not to be believed.
    pub fn verify(&self, token: &str, keys: &KeySet, now: Timestamp) -> Result<Claims, Refused> {
        let fingerprint = fingerprint(token);
        if let Some(verified) = self.verified.get(&fingerprint)
            && keys.find(&verified.kid).is_some()
        {
            verified.claims.verify_times(now)?;
            return Ok(verified.claims);
        }
        let (kid, claims) = self.verifier.verify_with_kid(token, keys, now)?;
        self.verified.insert(
            fingerprint,
            CachedToken {
                kid,
                claims: claims.clone(),
            },
        );
        Ok(claims)
    }
}

/// By which a token is remembered, so that a memory of tokens holds none: SHA-256.
#[must_use]
pub fn fingerprint(token: &str) -> [u8; 32] {
    let mut fingerprint = [0; 32];
    for (byte, hashed) in fingerprint
        .iter_mut()
        .zip(digest(&SHA256, token.as_bytes()).as_ref())
    {
        *byte = *hashed;
    }
    fingerprint
}
