//! Renewing tokens: many requests at once with one token make one call to auth, and get the same new token.

use std::{sync::Arc, time::Duration};

use doorward_rpc::{RpcError, auth::v1::RenewTokenRequest};
use moka::future::Cache;

use crate::peers::Peers;

/// How long a new token answers for the same old one. `iat` counts whole seconds, so it is hardly older than another.
const SHARE_WINDOW: Duration = Duration::from_millis(500);
const MAX_TOKENS: u64 = 10_000;

pub(crate) struct Renewals {
    /// By the old token and the keys of that moment: after a rotation, the new key signs at once.
    by_old: Cache<([u8; 32], u64), Arc<str>>,
}

impl Renewals {
    pub(crate) fn new() -> Self {
        Self {
            by_old: Cache::builder()
                .max_capacity(MAX_TOKENS)
                .time_to_live(SHARE_WINDOW)
                .build(),
        }
    }

    pub(crate) async fn renew(
        &self,
        peers: &Peers,
        token: String,
        keys: u64,
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
        self.by_old
            .try_get_with((doorward_token::fingerprint(&token), keys), call)
            .await
            .map_err(|failure| failure.as_ref().clone())
    }
}
