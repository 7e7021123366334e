//! Issuing and renewing tokens.

use std::{sync::Arc, time::Duration};

use doorward_domain::{Clock, Gid, Ids, Timestamp};
use doorward_storage::{AnyConnection, Database};
use doorward_token::{AUDIENCE, CachingVerifier, Claims, Kind};

use crate::{Config, Error, Verified, revocation::Covers, store, trust::Trust};

pub(crate) struct Tokens {
    database: Database,
    clock: Arc<dyn Clock>,
    ids: Arc<dyn Ids>,
    config: Arc<Config>,
    verifier: CachingVerifier,
    trust: Arc<Trust>,
}

impl Tokens {
    pub(crate) fn new(
        database: Database,
        clock: Arc<dyn Clock>,
        ids: Arc<dyn Ids>,
        config: Arc<Config>,
        trust: Arc<Trust>,
    ) -> Self {
        let verifier = CachingVerifier::new(&config.issuer);
        Self { database, clock, ids, config, verifier, trust }
    }

    /// The first token of a login that began at `begun`. Whatever was revoked since then covers it too, and a password that
    /// has changed since it was checked is none: it isn't issued.
    pub(crate) async fn issue(&self, verified: Verified, begun: Timestamp) -> Result<String, Error> {
        let Verified { user, hash } = verified;
        let read = move |connection: &mut AnyConnection| {
            let stored = store::credential::find_hash(connection, user)?;
            Ok::<_, Error>((stored, store::revocation::find(connection, &Covers::Subject(user))?))
        };
        let (stored, revocation) = self.database.read(read).await?;
        let is_revoked = revocation.as_ref().is_some_and(|revocation| revocation.revoked_at >= begun);
        if is_revoked || stored.as_ref() != Some(&hash) {
            return Err(Error::UnknownUser);
        }
        self.sign_first(user, begun, revocation.map_or(i64::MIN, |revocation| revocation.not_before_seconds))
    }

    fn sign_first(&self, subject: Gid, begun: Timestamp, not_before_seconds: i64) -> Result<String, Error> {
        let iat = begun.as_seconds();
        let claims = Claims {
            iss: self.config.issuer.clone(),
            aud: AUDIENCE.to_owned(),
            sub: subject,
            iat,
            exp: iat.saturating_add(seconds(self.config.lifetime.min(self.config.max_session))),
            jti: self.ids.gid().to_string(),
            sid: self.ids.gid().to_string(),
            // Ahead of `iat`, which verifiers compare with their clocks, when it is the second of a revocation.
            auth_time: iat.max(not_before_seconds),
            kind: Kind::User,
            project: None,
        };
        self.sign(&claims)
    }

    /// The next token of the same login.
    pub(crate) fn renew(&self, token: &str) -> Result<String, Error> {
        if !self.trust.is_fresh() {
            return Err(doorward_storage::Error::Unavailable("revocations may be missing".to_owned()).into());
        }
        let now = self.clock.now();
        let old = self.verifier.verify(token, &self.trust.keys(), now).map_err(|_| Error::TokenRefused)?;
        if self.trust.is_revoked(&old) {
            return Err(Error::TokenRefused);
        }
        // Never older than what it replaces, whichever clock dated that.
        let iat = now.as_seconds().max(old.iat);
        let session_end = old.auth_time.saturating_add(seconds(self.config.max_session));
        let exp = iat.saturating_add(seconds(self.config.lifetime)).min(session_end);
        if exp <= iat {
            return Err(Error::TokenRefused);
        }
        self.sign(&Claims { iat, exp, jti: self.ids.gid().to_string(), ..old })
    }

    /// Signs and verifies once, so that a crypto library that can't fails at the start and not at the first login.
    pub(crate) fn self_test(&self) -> Result<(), Error> {
        let token = self.sign_first(self.ids.gid(), self.clock.now(), i64::MIN)?;
        self.renew(&token).map(drop)
    }

    fn sign(&self, claims: &Claims) -> Result<String, Error> {
        let signer = self.trust.signer().ok_or(Error::Internal("there is no signing key"))?;
        signer.sign(claims).map_err(|_| Error::Internal("signing failed"))
    }
}

fn seconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_secs()).unwrap_or(i64::MAX)
}
