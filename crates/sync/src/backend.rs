//! The interface to the gateway: it verifies and renews tokens, and responds to `init`.

use doorward_domain::Gid;
use doorward_rpc::RpcError;
use doorward_token::Claims;
use futures_util::future::BoxFuture;
use serde_json::{Map, Value};

/// The part of the gateway that sockets use.
pub trait SocketBackend: Send + Sync + 'static {
    /// Verifies a token and returns its claims.
    ///
    /// # Errors
    /// See [`TokenError`].
    fn verify_token(&self, token: &str) -> Result<Claims, TokenError>;

    /// Returns the status of a token whose signature was verified before. It is cheap enough to be
    /// called for every delivery.
    fn token_status(&self, claims: &Claims) -> TokenStatus;

    /// Returns the number of changes of the public keys. After a change, the signature of a token
    /// may no longer be valid.
    fn keys_generation(&self) -> u64;

    /// Renews a token.
    fn renew(&self, token: String) -> BoxFuture<'_, Result<String, RpcError>>;

    /// Returns the response of `POST /sync/get` for these parameters, which are absent if the
    /// client sent something other than a JSON object.
    fn sync<'a>(
        &'a self,
        claims: &'a Claims,
        parameters: Option<Map<String, Value>>,
    ) -> BoxFuture<'a, InitResponse>;

    /// Returns the envelope of an error response.
    fn envelope(&self, failure: &RpcError) -> Value;
}

/// Why a token is rejected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenError {
    /// The token is not valid.
    Invalid,
    /// Revocations may be missing, because the gateway receives no trust data from auth.
    Unavailable,
}

/// Status of a token that was valid when its socket connected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenStatus {
    Valid,
    /// Valid, and old enough for a renewal.
    RenewalDue,
    /// Revoked or expired.
    Invalid,
    /// Revocations may be missing, because the gateway receives no trust data from auth.
    Unknown,
}

/// The response to an `init`.
pub struct InitResponse {
    pub envelope: Value,
    /// Start of the events; absent if the envelope is that of an error.
    pub subscription: Option<SubscriptionStart>,
}

/// The start of a subscription: the end of a sync page, and the audiences of the user at that
/// point.
#[derive(Debug, Clone)]
pub struct SubscriptionStart {
    pub feeds: Feeds,
    /// Cursor up to which the page was read.
    pub position: i64,
    /// Whether there are rows after the page, so a Sync must follow before events.
    pub has_more: bool,
    /// Audiences of the user, as the directory returns them with `include_audiences`.
    pub audiences: Vec<String>,
}

/// The feeds that a client follows, each after its own cursor.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Feeds {
    /// Cursor in the global feed; absent if the client does not follow it.
    pub cc_cursor: Option<i64>,
    pub project: Option<Gid>,
    /// Cursor in the feed of `project`; absent if the client does not follow it.
    pub cursor: Option<i64>,
}
