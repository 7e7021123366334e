//! What the headers of answers mean.

use serde_json::{Value, json};
use utoipa::openapi::{Header, ObjectBuilder, Ref, Type, header::HeaderBuilder};

use super::{
    examples,
    field::{of, text},
};

pub(super) fn reference(name: &str) -> Ref {
    Ref::new(format!("#/components/headers/{name}"))
}

/// The components.
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
                "The token to use from now on: bare, without `Bearer`.",
                jwt.clone(),
            ),
        ),
        (
            "RenewedToken",
            header(
                token(),
                "When the token of the request is due for renewal: the one to use from now on, bare.",
                jwt,
            ),
        ),
        (
            "WWW-Authenticate",
            header(
                text(),
                "With every 401.",
                json!("Bearer realm=\"JWT access to Doorward.\""),
            ),
        ),
        (
            "Retry-After",
            header(
                of(Type::Integer).minimum(Some(1)),
                "In whole seconds.",
                json!(1),
            ),
        ),
        (
            "Allow",
            header(text(), "The methods that there are.", json!("POST")),
        ),
        (
            "x-request-id",
            header(
                text(),
                "The request's own, if it sent one; the log has it too.",
                json!(examples::ITEM),
            ),
        ),
        (
            "Cache-Control",
            header(
                text(),
                "For how long it may be kept.",
                json!("public, max-age=300"),
            ),
        ),
        (
            "ETag",
            header(
                text(),
                "What `If-None-Match` compares.",
                json!("\"33a64df5\""),
            ),
        ),
        (
            "Content-Range",
            header(
                text(),
                "Which part, of how many bytes.",
                json!("bytes 0-99/1234"),
            ),
        ),
    ]
}
