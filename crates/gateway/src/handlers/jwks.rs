//! `GET /.well-known/jwks.json`.

use actix_web::{
    HttpResponse,
    http::header::{CACHE_CONTROL, CONTENT_TYPE},
    web::Data,
};
use doorward_rpc::RpcError;
use serde_json::json;

use crate::{http::envelope::ApiError, session::sessions::Sessions};

/// Returns the public keys that verify tokens, as a JWK set (RFC 7517). A copy can be cached for
/// five minutes, because a key is published long before it signs.
pub(crate) async fn jwks(sessions: Data<Sessions>) -> Result<HttpResponse, ApiError> {
    if !sessions.is_trust_fresh() {
        return Err(RpcError::unavailable().into());
    }
    let keys: Vec<_> = sessions
        .public_keys()
        .iter()
        .map(doorward_token::PublicKey::to_jwk)
        .collect();
    Ok(HttpResponse::Ok()
        .insert_header((CACHE_CONTROL, "public, max-age=300"))
        .insert_header((CONTENT_TYPE, "application/jwk-set+json"))
        .body(json!({"keys": keys}).to_string()))
}
