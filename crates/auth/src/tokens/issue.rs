//! Issuing and renewing tokens.

use std::{sync::Arc, time::Duration};

use doorward_domain::{Clock, Gid, IdGenerator, Timestamp};
use doorward_token::{AUDIENCE, CachingVerifier, Claims, TokenKind, Verifier};

use crate::{Config, Error, tokens::trust_store::TrustStore};

pub(crate) struct Tokens {
    clock: Arc<dyn Clock>,
    ids: Arc<dyn IdGenerator>,
    config: Arc<Config>,
    verifier: CachingVerifier,
    trust: Arc<TrustStore>,
}

/// A login that was found good.
#[derive(Debug)]
pub(crate) struct VerifiedLogin {
    pub(crate) subject: Gid,
    /// With the project of an API user's key.
    pub(crate) kind: (TokenKind, Option<Gid>),
    /// When it began: what is revoked later covers it.
    pub(crate) logged_in_at: Timestamp,
    /// What was revoked of the subject before; logins of this second are dated after it.
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

    /// The first token of a login.
    pub(crate) fn issue(&self, login: &VerifiedLogin) -> Result<String, Error> {
        let iat = login.logged_in_at.as_seconds();
        let (kind, project) = login.kind;
        let claims = Claims {
            iss: self.config.issuer.clone(),
            aud: AUDIENCE.to_owned(),
            sub: login.subject,
            iat,
            exp: iat.saturating_add(to_seconds(
                self.config
                    .token_lifetime
                    .min(self.config.max_session_lifetime),
            )),
            jti: self.ids.new_gid().to_string(),
            sid: self.ids.new_gid().to_string(),
            // Ahead of `iat`, which verifiers compare with their clocks, when it is the second of a revocation.
            auth_time: iat.max(login.not_before),
            kind,
            project,
            nbf: None,
        };
        self.sign(claims)
    }

    /// What a token says, when it is good now.
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

    /// The next token of the same login.
    pub(crate) fn renew(&self, token: &str) -> Result<String, Error> {
        let old = self.verify(token)?;
        // Never older than what it replaces, whichever clock dated that.
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

    /// Signs and verifies once, so that a crypto library that can't fails at the start and not at the first login.
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
            .map_err(|_| Error::Internal("what is signed here can't be verified"))
    }

    fn sign(&self, claims: Claims) -> Result<String, Error> {
        let signer = self
            .trust
            .signer()
            .ok_or(Error::Internal("there is no signing key"))?;
        let token = signer
            .sign(&claims)
            .map_err(|_| Error::Internal("signing failed"))?;
        // Its renewal then costs one signature, and no check of another.
        self.verifier
            .insert_verified(&token, &signer.public_key().kid, claims);
        Ok(token)
    }
}

fn to_seconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_secs()).unwrap_or(i64::MAX)
}
