//! Example of a service that identifies its callers. Auth streams the public keys and revocations,
//! so verifying a token needs no call. See the README.

mod trust_store;

use std::error::Error;

use axum::{
    Router,
    extract::FromRequestParts,
    http::{HeaderMap, HeaderName, StatusCode, header, request::Parts},
    response::IntoResponse,
    routing::get,
};
use doorward_rpc::{Peer, ServiceToken};
use doorward_token::Claims;
use serde_json::json;
use tokio::net::TcpListener;

use crate::trust_store::{TokenError, Trust};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .init();
    let service_token = ServiceToken::new(setting("DOORWARD_SERVICE_TOKEN").map(Into::into));
    let url = setting("DOORWARD_AUTH_URL").unwrap_or_else(|| "http://127.0.0.1:50051".to_owned());
    let issuer = setting("DOORWARD_TOKEN_ISSUER").unwrap_or_else(|| "doorward".to_owned());
    let trust = Trust::start(
        Peer::Url { url, tls: None }.connect(&service_token)?,
        &issuer,
    );

    let app = Router::new()
        .route("/whoami", get(whoami))
        .with_state(trust);
    let listener =
        TcpListener::bind(setting("LISTEN").unwrap_or_else(|| "127.0.0.1:8000".to_owned())).await?;
    tracing::info!("listening on http://{}", listener.local_addr()?);
    Ok(axum::serve(listener, app).await?)
}

fn setting(name: &str) -> Option<String> {
    #[expect(
        clippy::disallowed_methods,
        reason = "an example has no other settings than these"
    )]
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

async fn whoami(Caller(claims): Caller) -> impl IntoResponse {
    let project = claims.project.map(|gid| gid.to_string());
    let body = json!({"user": claims.sub.to_string(), "kind": claims.kind, "project": project});
    (
        [(header::CONTENT_TYPE, "application/json")],
        body.to_string(),
    )
}

/// The authenticated caller. A handler with this parameter is only called with a valid token.
struct Caller(Claims);

impl FromRequestParts<Trust> for Caller {
    type Rejection = (StatusCode, [(HeaderName, &'static str); 1]);

    async fn from_request_parts(
        request: &mut Parts,
        trust: &Trust,
    ) -> Result<Self, Self::Rejection> {
        let checked = bearer_token(&request.headers)
            .ok_or(TokenError::Invalid)
            .and_then(|token| trust.check(token));
        checked.map(Self).map_err(|error| match error {
            TokenError::Invalid => (
                StatusCode::UNAUTHORIZED,
                [(header::WWW_AUTHENTICATE, "Bearer")],
            ),
            TokenError::Unavailable => (
                StatusCode::SERVICE_UNAVAILABLE,
                [(header::RETRY_AFTER, "1")],
            ),
        })
    }
}

/// Returns the bearer token (RFC 6750, section 2.1), or `None` unless there is exactly one
/// `Authorization` header.
fn bearer_token(headers: &HeaderMap) -> Option<&str> {
    let mut headers = headers.get_all(header::AUTHORIZATION).iter();
    let (Some(header), None) = (headers.next(), headers.next()) else {
        return None;
    };
    let (scheme, token) = header.to_str().ok()?.split_once(' ')?;
    scheme
        .eq_ignore_ascii_case("bearer")
        .then_some(token.trim())
}
