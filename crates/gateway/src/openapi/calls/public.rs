//! Calls without a token: the version, languages, public keys, pictures, and this document.

use crate::openapi::{
    call::{Call, ResponseKind},
    entries::Entries,
    error_response::ErrorResponse,
    field::{Shape, required},
};

use super::fields::INIT_RESULT;

pub(super) fn calls() -> Vec<Call> {
    let [_, _, version, _] = INIT_RESULT;
    let languages = required(
        "languages",
        Shape::Texts(&["en", "nl"]),
        "The codes of the languages, sorted.",
    );
    let picture = |path, summary, caching| {
        Call::get(
            path,
            summary,
            "Returns a picture to any client that knows its name.",
            ResponseKind::Picture { caching },
        )
        .with_errors(&[
            ErrorResponse::NotFound,
            ErrorResponse::RangeNotSatisfiable,
            ErrorResponse::Unavailable,
        ])
    };
    vec![
        Call::get_or_post(
            "/api/ping",
            "Ask whether the gateway is up",
            "Answers as long as the gateway runs. It does not check the other parts of the server.",
        )
        .with_result(&[version], &[]),
        Call::get_or_post(
            "/api/languages/get",
            "Get all languages",
            "Returns all languages of ISO 639-1 and regional forms such as `nl-be`, with English \
             names.",
        )
        .with_result(&[languages], &[Entries::Languages]),
        Call::get(
            "/.well-known/jwks.json",
            "Get the public keys",
            "Returns the public keys that verify tokens, as a JWK set. It can be cached for 5 \
             minutes.",
            ResponseKind::Keys,
        )
        .with_errors(&[ErrorResponse::Unavailable]),
        picture(
            "/media/avatars/{name}",
            "Get a picture of a user",
            "A new picture has a new name, so this one can be cached without a limit.",
        ),
        picture(
            "/media/icons/{name}",
            "Get the icon of a project",
            "The name stays the same when the icon changes: check with `If-None-Match` whether it \
             has changed.",
        ),
        Call::get(
            "/api/openapi.json",
            "Get this document",
            "Returns the OpenAPI 3.1 document, as `doorward openapi` prints it.",
            ResponseKind::Document,
        ),
        Call::get(
            "/api/docs",
            "Read this document",
            "Shows the document as a page.",
            ResponseKind::Page,
        ),
    ]
}
