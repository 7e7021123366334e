//! A cache of verified tokens. The signature of a token is verified once; its key and its times are
//! checked at each call, so that a removed key or an expired token is rejected although it is
//! cached.

use aws_lc_rs::digest::{SHA256, digest};
use doorward_domain::Timestamp;
use moka::sync::Cache;

use crate::{
    claims::Claims,
    keys::KeySet,
    verify::{Verifier, VerifyError},
};

/// Maximum number of cached tokens. An entry has about 1 KiB.
const MAX_CACHED_TOKENS: u64 = 10_000;

/// A [`Verifier`] with a bounded cache. The cache has fingerprints and no tokens, so that a memory
/// dump reveals none.
pub struct CachingVerifier {
    verifier: Verifier,
    verified: Cache<[u8; 32], CachedToken>,
}

#[derive(Clone)]
struct CachedToken {
    /// Id of the key that verified the token. It is the thumbprint of the key, so no other key can
    /// have it later.
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

    /// Adds a token that this process signed with the key `kid`, so that its signature need not be
    /// verified.
    pub fn insert_verified(&self, token: &str, kid: &str, claims: Claims) {
        self.verified.insert(
            fingerprint(token),
            CachedToken {
                kid: kid.to_owned(),
                claims,
            },
        );
    }

    /// Verifies a token like [`Verifier::verify`], but verifies its signature only once.
    ///
    /// # Errors
    /// The errors of [`Verifier::verify`].
    pub fn verify(
        &self,
        token: &str,
        keys: &KeySet,
        now: Timestamp,
    ) -> Result<Claims, VerifyError> {
        let fingerprint = fingerprint(token);
        // The claims of a cached token never change, but the keys and the time do.
        if let Some(verified) = self.verified.get(&fingerprint)
            && keys.find(&verified.kid).is_some()
        {
            verified.claims.verify_times(now)?;
            return Ok(verified.claims);
        }
        // A rejected token is not cached, so that invalid tokens cannot evict valid ones.
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

/// Returns the fingerprint by which a token is cached: its SHA-256.
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
