//! Issues, verifies and renews tokens. The trust store provides the keys and the revocations.

use std::{sync::Arc, time::Duration};

use doorward_domain::{Clock, Gid, IdGenerator, Timestamp};
use doorward_token::{AUDIENCE, CachingVerifier, Claims, TokenKind, Verifier};

use crate::{config::Config, error::Error, tokens::trust_store::TrustStore};

/// Issues, verifies and renews tokens with the settings of this process.
pub(crate) struct Tokens {
    clock: Arc<dyn Clock>,
    ids: Arc<dyn IdGenerator>,
    config: Arc<Config>,
    verifier: CachingVerifier,
    trust: Arc<TrustStore>,
}

/// A login whose credentials were verified.
#[derive(Debug)]
pub(crate) struct VerifiedLogin {
    pub(crate) subject: Gid,
    /// The kind of the token, with the project for an API user.
    pub(crate) kind: (TokenKind, Option<Gid>),
    /// Time of the check with which the login began (`iat`). A later revocation covers the login.
    pub(crate) logged_in_at: Timestamp,
    /// `not_before` of the newest revocation of the subject, in seconds. `auth_time` is not
    /// earlier.
    pub(crate) not_before: i64,
}

impl Tokens {
    pub(crate) fn new(
        clock: Arc<dyn Clock>,
        ids: Arc<dyn IdGenerator>,
        config: Arc<Config>,
        trust: Arc<TrustStore>,
    ) -> Self {
        let verifier = CachingVerifier::new(&config.issuer);
        Self {
            clock,
            ids,
            config,
            verifier,
            trust,
        }
    }

    /// Issues the first token of a login.
    ///
    /// # Errors
    /// [`Error::Internal`] if signing fails.
    pub(crate) fn issue(&self, login: &VerifiedLogin) -> Result<String, Error> {
        let iat = login.logged_in_at.as_seconds();
        let (kind, project) = login.kind;
        let lifetime = self
            .config
            .token_lifetime
            .min(self.config.max_session_lifetime);
        let claims = Claims {
            iss: self.config.issuer.clone(),
            aud: AUDIENCE.to_owned(),
            sub: login.subject,
            iat,
            exp: iat.saturating_add(to_seconds(lifetime)),
            jti: self.ids.new_gid().to_string(),
            sid: self.ids.new_gid().to_string(),
            // Later than `iat` if a revocation happened in the same second. `iat` itself must not
            // be in the future, because verifiers compare it with their clocks.
            auth_time: iat.max(login.not_before),
            kind,
            project,
            nbf: None,
        };
        self.sign(claims)
    }

    /// Verifies a token and returns its claims. The freshness of the trust data is checked first:
    /// with stale data, a revoked token would look valid.
    ///
    /// # Errors
    /// [`Error::InvalidToken`], and [`Error::Storage`] (unavailable) if revocations may be missing.
    pub(crate) fn verify(&self, token: &str) -> Result<Claims, Error> {
        if !self.trust.is_fresh() {
            return Err(doorward_storage::Error::Unavailable(
                "revocations may be missing".to_owned(),
            )
            .into());
        }
        let claims = self
            .verifier
            .verify(token, &self.trust.keys(), self.clock.now())
            .map_err(|_| Error::InvalidToken)?;
        if self.trust.is_revoked(&claims) {
            Err(Error::InvalidToken)
        } else {
            Ok(claims)
        }
    }

    /// Issues the next token of the same login: `sid` and `auth_time` stay, so revocations of the
    /// login cover the new token too.
    ///
    /// # Errors
    /// The errors of [`verify`](Self::verify), and [`Error::InvalidToken`] if the session has
    /// reached its maximum lifetime.
    pub(crate) fn renew(&self, token: &str) -> Result<String, Error> {
        let old = self.verify(token)?;
        // Never older than the token that it replaces, which a process with a faster clock may have
        // issued.
        let iat = self.clock.now().as_seconds().max(old.iat);
        let session_end = old
            .auth_time
            .saturating_add(to_seconds(self.config.max_session_lifetime));
        let exp = iat
            .saturating_add(to_seconds(self.config.token_lifetime))
            .min(session_end);
        if exp <= iat {
            return Err(Error::InvalidToken);
        }
        self.sign(Claims {
            iat,
            exp,
            jti: self.ids.new_gid().to_string(),
            ..old
        })
    }

    /// Signs and verifies one token, so that a broken crypto library fails at the start, and not at
    /// the first login.
    ///
    /// # Errors
    /// [`Error::Internal`] if one of the two fails.
    pub(crate) fn check_signing(&self) -> Result<(), Error> {
        let kind = (TokenKind::User, None);
        let login = VerifiedLogin {
            subject: self.ids.new_gid(),
            kind,
            logged_in_at: self.clock.now(),
            not_before: i64::MIN,
        };
        let token = self.issue(&login)?;
        Verifier::new(&self.config.issuer)
            .verify(&token, &self.trust.keys(), self.clock.now())
            .map(drop)
            .map_err(|_| Error::Internal("a token that was just signed can't be verified"))
    }

    fn sign(&self, claims: Claims) -> Result<String, Error> {
        let signer = self
            .trust
            .signer()
            .ok_or(Error::Internal("there is no signing key"))?;
        let token = signer
            .sign(&claims)
            .map_err(|_| Error::Internal("signing failed"))?;
        // With the token in the cache of verified tokens, its renewal needs one signature and no
        // verification.
        self.verifier
            .insert_verified(&token, &signer.public_key().kid, claims);
        Ok(token)
    }
}

fn to_seconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_secs()).unwrap_or(i64::MAX)
}
