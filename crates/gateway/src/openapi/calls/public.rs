//! What asks for nobody's data: the release, languages, keys, pictures, and this document.

use crate::openapi::{
    call::{Call, ResponseKind},
    entries::Entries,
    error_response::Refusal,
    field::{Shape, required},
};

use crate::openapi::calls::INIT_RESULT;

pub(crate) fn calls() -> Vec<Call> {
    let [_, _, version, _] = INIT_RESULT;
    let languages = required(
        "languages",
        Shape::Texts(&["en", "nl"]),
        "The codes, sorted.",
    );
    let picture = |path, summary, caching| {
        Call::get(
            path,
            summary,
            "Public: the name is all that is needed.",
            ResponseKind::Picture { caching },
        )
        .with_errors(&[
            Refusal::NotFound,
            Refusal::RangeNotSatisfiable,
            Refusal::Unavailable,
        ])
    };
    vec![
        Call::get_or_post(
            "/api/ping",
            "Ask whether the gateway is up",
            "It asks no other part of the server.",
        )
        .with_result(&[version], &[]),
        Call::get_or_post(
            "/api/languages/get",
            "Get all languages",
            "ISO 639-1, and regional forms such as `nl-be`.",
        )
        .with_result(&[languages], &[Entries::Languages]),
        Call::get(
            "/.well-known/jwks.json",
            "Get the public keys",
            "Those that may verify a token today, as a JWK set. It may be kept for 5 minutes.",
            ResponseKind::Keys,
        )
        .with_errors(&[Refusal::Unavailable]),
        picture(
            "/media/avatars/{name}",
            "Get a picture of a user",
            "A new picture has a new name: keep it for ever.",
        ),
        picture(
            "/media/icons/{name}",
            "Get the icon of a project",
            "The name stays: ask with `If-None-Match`.",
        ),
        Call::get(
            "/api/openapi.json",
            "Get this document",
            "OpenAPI 3.1, as `doorward openapi` prints it.",
            ResponseKind::Document,
        ),
        Call::get(
            "/api/docs",
            "Read this document",
            "As a page.",
            ResponseKind::Page,
        ),
    ]
}
