//! What anybody may ask: `ping`, `languages/get`, and the public keys.

use actix_web::{
    HttpResponse,
    http::header::{CACHE_CONTROL, CONTENT_TYPE},
    web::Data,
};
use doorward_proto::Failure;
use serde::Serialize;
use serde_json::{json, value::RawValue};

use crate::{
    Gateway,
    body::OptionalBody,
    envelope::{self, Empty, Problem},
};

/// `GET|POST /api/ping`: says that the gateway is up, and asks no peer.
pub(crate) async fn ping(_: OptionalBody, gateway: Data<Gateway>) -> Result<HttpResponse, Problem> {
    envelope::success(&json!({"cc.version": gateway.version}), &Empty {})
}

#[derive(Serialize)]
struct LanguagesData<'a> {
    #[serde(rename = "cc.languages")]
    languages: &'a RawValue,
}

/// `GET|POST /api/languages/get`.
pub(crate) async fn languages(_: OptionalBody, gateway: Data<Gateway>) -> Result<HttpResponse, Problem> {
    envelope::success(
        &json!({"languages": gateway.languages.codes}),
        &LanguagesData { languages: &gateway.languages.names },
    )
}

/// `GET /.well-known/jwks.json` (RFC 7517): the public keys that may verify a token today. Keys are published long before
/// they sign, so a cached copy does for minutes.
pub(crate) async fn jwks(gateway: Data<Gateway>) -> Result<HttpResponse, Problem> {
    if !gateway.trust.is_fresh() {
        return Err(Failure::unavailable().into());
    }
    let keys: Vec<_> = gateway.trust.public_keys().iter().map(doorward_token::PublicKey::to_jwk).collect();
    Ok(HttpResponse::Ok()
        .insert_header((CACHE_CONTROL, "public, max-age=300"))
        .insert_header((CONTENT_TYPE, "application/jwk-set+json"))
        .body(json!({"keys": keys}).to_string()))
}
