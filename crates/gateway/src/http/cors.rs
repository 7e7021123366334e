//! Cross-origin resource sharing (CORS): the web pages of other origins that can call the API and
//! read tokens from its responses.

use actix_cors::Cors;
use actix_web::http::header::{self, HeaderName};

/// Request headers that a page can send: those of the API, and those that tracing libraries add to
/// every request.
const REQUEST_HEADERS: [HeaderName; 8] = [
    header::AUTHORIZATION,
    header::CONTENT_TYPE,
    HeaderName::from_static("traceparent"),
    HeaderName::from_static("tracestate"),
    HeaderName::from_static("baggage"),
    HeaderName::from_static("sentry-trace"),
    HeaderName::from_static("x-request-id"),
    HeaderName::from_static("x-requested-with"),
];

/// Returns the policy for the configured origins; `*` stands for all.
///
/// An origin
/// that is not allowed still gets a response, without CORS headers: the browser blocks it.
pub(crate) fn policy(origins: &[String]) -> Cors {
    let cors = Cors::default()
        .allowed_methods(["GET", "HEAD", "POST"])
        .allowed_headers(REQUEST_HEADERS)
        .expose_headers([
            header::AUTHORIZATION,
            header::RETRY_AFTER,
            HeaderName::from_static("x-request-id"),
        ])
        .block_on_origin_mismatch(false)
        .max_age(3600);
    if origins.iter().any(|origin| origin == "*") {
        return cors.allow_any_origin().send_wildcard();
    }
    origins
        .iter()
        .fold(cors, |cors, origin| cors.allowed_origin(origin))
}
