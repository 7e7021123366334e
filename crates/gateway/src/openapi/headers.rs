//! The headers of responses as components of the document.

use serde_json::{Value, json};
use utoipa::openapi::{Header, ObjectBuilder, Ref, Type, header::HeaderBuilder};

use super::{
    builders::{of, text},
    examples,
};

pub(super) fn reference(name: &str) -> Ref {
    Ref::new(format!("#/components/headers/{name}"))
}

/// Returns the components by name.
pub(super) fn all() -> Vec<(&'static str, Header)> {
    let header = |schema: ObjectBuilder, description: &str, example: Value| {
        HeaderBuilder::new()
            .schema(Some(schema))
            .description(Some(description))
            .example(Some(example))
            .build()
    };
    let token = || text().pattern(Some("^[A-Za-z0-9_-]+\\.[A-Za-z0-9_-]+\\.[A-Za-z0-9_-]+$"));
    let jwt = json!("eyJ0eXAiOiJKV1QiLCJhbGciOiJFZERTQSJ9.eyJzdWIiOiIuLi4ifQ.c2lnbmF0dXJl");
    vec![
        (
            "FreshToken",
            header(
                token(),
                "The token to use from now on, without `Bearer`.",
                jwt.clone(),
            ),
        ),
        (
            "RenewedToken",
            header(
                token(),
                "The token to use from now on, without `Bearer`. The header is present only if \
                 renewal of the token of the request is due.",
                jwt,
            ),
        ),
        (
            "WWW-Authenticate",
            header(
                text(),
                "The authentication scheme and its realm, in every 401.",
                json!("Bearer realm=\"JWT access to Doorward.\""),
            ),
        ),
        (
            "Retry-After",
            header(
                of(Type::Integer).minimum(Some(1)),
                "The time after which to try again, in whole seconds.",
                json!(1),
            ),
        ),
        (
            "Allow",
            header(text(), "The methods that the path accepts.", json!("POST")),
        ),
        (
            "x-request-id",
            header(
                text(),
                "The id of the request: the one that the request sent, if it is well-formed, \
                 otherwise one of the server. The log has it too.",
                json!(examples::ITEM),
            ),
        ),
        (
            "Cache-Control",
            header(
                text(),
                "How long the response can be cached.",
                json!("public, max-age=300"),
            ),
        ),
        (
            "ETag",
            header(
                text(),
                "The version of the picture, for `If-None-Match` and `If-Range`.",
                json!("\"33a64df5\""),
            ),
        ),
        (
            "Content-Range",
            header(
                text(),
                "The range of bytes in the response, and the size of the picture.",
                json!("bytes 0-99/1234"),
            ),
        ),
    ]
}
