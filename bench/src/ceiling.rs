//! The ceiling of `/api/init`: an actix-web handler that checks the token and responds with
//! constant bytes.

use std::collections::HashMap;

use actix_web::{App, HttpRequest, HttpResponse, HttpServer, http::header::AUTHORIZATION, web};
use anyhow::{Context, bail};
use jsonwebtoken::{
    Algorithm, DecodingKey, Validation, decode, decode_header,
    jwk::{Jwk, JwkSet},
};
use serde::{Deserialize, Serialize};

pub(crate) const HEALTH: &str = "/health";
const WORKERS: usize = 2;

/// A response that was recorded from Doorward, and the keys that verify its token.
#[derive(Serialize, Deserialize)]
pub(crate) struct RecordedResponse {
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
    pub(crate) keys: JwkSet,
}

struct CeilingHandler {
    headers: Vec<(String, String)>,
    body: web::Bytes,
    keys: HashMap<String, DecodingKey>,
    validation: Validation,
}

/// The claims that the ceiling reads. Doorward also checks `iat`, `sid` and others.
#[derive(Deserialize)]
struct Claims {
    #[serde(rename = "sub")]
    _sub: String,
}

/// Serves a recorded response. The arguments are the address and the file with the response.
pub(crate) fn serve(words: &[String]) -> anyhow::Result<()> {
    let [address, file] = words else {
        bail!("usage: doorward-bench ceiling ADDRESS FILE");
    };
    let recorded: RecordedResponse = serde_json::from_slice(&std::fs::read(file)?)?;
    let mut validation = Validation::new(Algorithm::EdDSA);
    validation.set_issuer(&["doorward"]);
    validation.set_audience(&["doorward"]);
    let keys = recorded
        .keys
        .keys
        .iter()
        .map(key)
        .collect::<anyhow::Result<_>>()?;
    let handler = web::Data::new(CeilingHandler {
        headers: recorded.headers,
        body: recorded.body.into(),
        keys,
        validation,
    });
    let app = move || {
        App::new()
            .app_data(handler.clone())
            .route("/api/init", web::get().to(init))
            .route(HEALTH, web::get().to(HttpResponse::Ok))
    };
    let server = HttpServer::new(app)
        .workers(WORKERS)
        .tcp_nodelay(true)
        .bind(address)?;
    Ok(actix_web::rt::System::new().block_on(server.run())?)
}

fn key(jwk: &Jwk) -> anyhow::Result<(String, DecodingKey)> {
    Ok((
        jwk.common.key_id.clone().context("a key without an id")?,
        DecodingKey::from_jwk(jwk)?,
    ))
}

async fn init(request: HttpRequest, handler: web::Data<CeilingHandler>) -> HttpResponse {
    if !is_authorized(&request, &handler) {
        return HttpResponse::Unauthorized().finish();
    }
    let mut response = HttpResponse::Ok();
    for (name, value) in &handler.headers {
        response.insert_header((name.as_str(), value.as_str()));
    }
    response.body(handler.body.clone())
}

fn is_authorized(request: &HttpRequest, handler: &CeilingHandler) -> bool {
    let header = request
        .headers()
        .get(AUTHORIZATION)
        .and_then(|header| header.to_str().ok());
    let Some(token) = header.and_then(|header| header.strip_prefix("Bearer ")) else {
        return false;
    };
    let kid = decode_header(token).ok().and_then(|header| header.kid);
    let Some(key) = kid.and_then(|kid| handler.keys.get(&kid)) else {
        return false;
    };
    decode::<Claims>(token, key, &handler.validation).is_ok()
}
