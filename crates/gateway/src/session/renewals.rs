//! Renewal of tokens. Concurrent requests with the same token make one call to auth and share the
//! new token. Whether renewal is due is decided elsewhere.
//!
//! Example: an app starts and sends eight requests with token T, whose renewal is due.
//!
//! 1. At 0 ms the first request calls auth. The other seven wait for its result.
//! 2. At 5 ms auth returns T2. All eight responses have T2.
//! 3. At 300 ms another request with T arrives. It gets T2 without a call: less than
//!    [`SHARE_WINDOW`] has passed.
//! 4. At 600 ms another request with T arrives. Auth is called again and returns T3. T2 stays
//!    valid, because a renewal does not invalidate other tokens of the login.
//!
//! If the call fails, all requests that wait for it get the error. Errors are not stored, so the
//! next request tries again.

use std::{sync::Arc, time::Duration};

use doorward_rpc::{RpcError, auth::v1::RenewTokenRequest};
use moka::future::Cache;

use crate::peers::Peers;

/// Time during which a new token is shared by requests with the same old token. `iat` has whole
/// seconds, so a shared token is hardly older than one of the request's own would be.
const SHARE_WINDOW: Duration = Duration::from_millis(500);
/// Maximum number of tokens whose renewal is remembered.
const MAX_TOKENS: u64 = 10_000;

/// Renewals of the last moments, and those in flight.
pub(crate) struct Renewals {
    /// New tokens by the fingerprint of the old token and the generation of the public keys. The
    /// generation is part of the key so that a token that an old signing key signed is not shared
    /// after a rotation.
    by_old_token: Cache<([u8; 32], u64), Arc<str>>,
}

impl Renewals {
    pub(crate) fn new() -> Self {
        Self {
            by_old_token: Cache::builder()
                .max_capacity(MAX_TOKENS)
                .time_to_live(SHARE_WINDOW)
                .build(),
        }
    }

    /// Returns a new token for the login of `token`.
    ///
    /// # Errors
    /// The errors of `RenewToken`.
    pub(crate) async fn renew(
        &self,
        peers: &Peers,
        token: String,
        keys_generation: u64,
    ) -> Result<Arc<str>, RpcError> {
        let call = async {
            let renewed = peers
                .auth()
                .renew_token(RenewTokenRequest {
                    token: token.clone(),
                })
                .await?;
            Ok::<_, RpcError>(renewed.into_inner().token.into())
        };
        self.by_old_token
            .try_get_with((doorward_token::fingerprint(&token), keys_generation), call)
            .await
            .map_err(|error| error.as_ref().clone())
    }
}
