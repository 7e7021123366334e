//! Verification and renewal of tokens, with the trust data, the clock and the settings that they
//! need.

use std::{sync::Arc, time::Duration};

use doorward_domain::Clock;
use doorward_rpc::{Channel, RpcError};
use doorward_token::{Claims, PublicKey};
use tokio_util::sync::CancellationToken;

use crate::{
    peers::Peers,
    session::{
        renewals::Renewals,
        trust_store::{TokenError, TrustStore},
    },
};

/// Sessions of all callers. No session is stored: a token itself has all facts about its session.
pub(crate) struct Sessions {
    trust: TrustStore,
    renewals: Renewals,
    clock: Arc<dyn Clock>,
    /// Age of a token from which its renewal is due.
    renew_after: Duration,
}

impl Sessions {
    pub(crate) fn new(trust: TrustStore, clock: Arc<dyn Clock>, renew_after: Duration) -> Self {
        Self {
            trust,
            renewals: Renewals::new(),
            clock,
            renew_after,
        }
    }

    /// Receives the trust data from auth until `shutdown`.
    pub(crate) async fn receive_trust(self: Arc<Self>, auth: Channel, shutdown: CancellationToken) {
        let clock = self.clock.clone();
        let now = move || clock.now();
        self.trust.run(auth, now, shutdown).await;
    }

    /// Verifies a token and returns its claims.
    ///
    /// # Errors
    /// The errors of [`TrustStore::verify`].
    pub(crate) fn verify(&self, token: &str) -> Result<Claims, TokenError> {
        self.trust.verify(token, self.clock.now())
    }

    /// Checks claims that were verified before.
    ///
    /// # Errors
    /// The errors of [`TrustStore::recheck`].
    pub(crate) fn recheck(&self, claims: &Claims) -> Result<(), TokenError> {
        self.trust.recheck(claims, self.clock.now())
    }

    /// Returns whether renewal of a token is due. A token whose lifetime is not longer than
    /// `renew_after` would never become due; its renewal is due after a tenth of its lifetime
    /// instead.
    pub(crate) fn is_renewal_due(&self, claims: &Claims) -> bool {
        let seconds = |seconds: i64| Duration::from_secs(u64::try_from(seconds).unwrap_or(0));
        let age = seconds(self.clock.now().as_seconds().saturating_sub(claims.iat));
        let lifetime = seconds(claims.exp.saturating_sub(claims.iat));
        age >= if self.renew_after < lifetime {
            self.renew_after
        } else {
            lifetime / 10
        }
    }

    /// Returns a new token for the login of `token`.
    ///
    /// # Errors
    /// The errors of `RenewToken`.
    pub(crate) async fn renew(&self, peers: &Peers, token: String) -> Result<Arc<str>, RpcError> {
        self.renewals
            .renew(peers, token, self.trust.keys_generation())
            .await
    }

    /// Returns whether the trust data is recent enough to check tokens.
    pub(crate) fn is_trust_fresh(&self) -> bool {
        self.trust.is_fresh()
    }

    /// Returns a number that changes with every change of the public keys.
    pub(crate) fn keys_generation(&self) -> u64 {
        self.trust.keys_generation()
    }

    pub(crate) fn public_keys(&self) -> Vec<PublicKey> {
        self.trust.public_keys()
    }
}
