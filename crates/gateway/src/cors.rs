//! Which web pages of other origins may call, and read the token.

use actix_cors::Cors;
use actix_web::http::header;

/// None by default: browsers then keep other origins out.
pub(crate) fn policy(origins: &[String]) -> Cors {
    let cors = Cors::default()
        .allowed_methods(["GET", "POST"])
        .allowed_headers([header::AUTHORIZATION, header::CONTENT_TYPE, header::HeaderName::from_static("x-request-id")])
        .expose_headers([header::AUTHORIZATION, header::RETRY_AFTER, header::HeaderName::from_static("x-request-id")])
        .block_on_origin_mismatch(false)
        .max_age(3600);
    if origins.iter().any(|origin| origin == "*") {
        return cors.allow_any_origin().send_wildcard();
    }
    origins.iter().fold(cors, |cors, origin| cors.allowed_origin(origin))
}
