//! What the gateway does for sockets: tokens, and the envelope of an answer.

use doorward_domain::Gid;
use doorward_rpc::RpcError;
use doorward_token::Claims;
use futures_util::future::BoxFuture;
use serde_json::{Map, Value};

pub trait Host: Send + Sync + 'static {
    /// # Errors
    /// When the token is not to be believed, or nobody can say.
    fn verify_token(&self, token: &str) -> Result<Claims, TokenError>;

    /// Of claims that were believed once; cheap.
    fn token_status(&self, claims: &Claims) -> TokenStatus;

    /// Counts the changes of the signing keys: after one, a token may be good no more.
    fn keys_generation(&self) -> u64;

    fn renew(&self, token: String) -> BoxFuture<'_, Result<String, RpcError>>;

    /// What `POST /sync/get` would answer. No parameters: they were no JSON object.
    fn sync<'a>(
        &'a self,
        claims: &'a Claims,
        parameters: Option<Map<String, Value>>,
    ) -> BoxFuture<'a, InitResponse>;

    /// The whole envelope of something that went wrong.
    fn envelope(&self, failure: &RpcError) -> Value;
}

/// Why somebody may not connect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenError {
    /// The token is not to be believed.
    Invalid,
    /// Auth isn't heard of: nobody can say.
    Unavailable,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenStatus {
    Valid,
    /// Good, and to be renewed.
    RenewalDue,
    /// Revoked, or run out.
    Invalid,
    /// Auth isn't heard of: nobody can say.
    Unknown,
}

pub struct InitResponse {
    pub envelope: Value,
    /// Where the events go on; absent when the answer is a refusal.
    pub subscription: Option<Subscription>,
}

/// From where a socket is told more, and of what.
#[derive(Debug, Clone)]
pub struct Subscription {
    pub feeds: Feeds,
    /// As in the directory's answer, which was asked for scopes.
    pub position: i64,
    pub has_more: bool,
    pub audiences: Vec<String>,
}

/// What somebody follows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Feeds {
    /// The cursor that they came with; absent: no rows of the global feed.
    pub cc_cursor: Option<i64>,
    pub project: Option<Gid>,
    /// The cursor that they came with; absent: no rows of the project's feed.
    pub cursor: Option<i64>,
}
