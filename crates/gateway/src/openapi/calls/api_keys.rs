//! `/api/p/{project}/apikeys/...`.

use crate::openapi::{
    call::Call,
    entries::Entries,
    error_response::Refusal,
    examples,
    field::{Field, Shape, required},
};

use super::{API_USER, BAD_NAME, NAME};

const KEY_NAME: Field = Field {
    shape: Shape::Text("Nightly export"),
    ..NAME
};

pub(super) fn calls() -> Vec<Call> {
    let data = [Entries::ShortUsers, Entries::Memberships];
    let call = |path, summary, description| {
        Call::post(path, summary, description)
            .with_token()
            .with_parameters(&[API_USER])
            .with_errors(&[Refusal::Forbidden])
    };
    let known = ["not_an_api_user"];
    let key = required("apikey", Shape::Text(examples::API_KEY), "The key.");
    vec![
        call(
            "/api/p/{project}/apikeys/create",
            "Create an API user",
            "Its key is asked for with `apikeys/get`.",
        )
        .with_parameters(&[KEY_NAME])
        .with_result(&[API_USER], &data)
        .with_reasons(&["limit_reached"])
        .with_validation(&BAD_NAME),
        call(
            "/api/p/{project}/apikeys/get",
            "Get a key",
            "It is written to the audit trail.",
        )
        .with_result(&[key], &[])
        .with_reasons(&known),
        call(
            "/api/p/{project}/apikeys/update",
            "Rename an API user",
            "Its key stays.",
        )
        .with_parameters(&[API_USER, KEY_NAME])
        .with_result(&[API_USER], &data)
        .with_reasons(&known)
        .with_validation(&BAD_NAME),
        call(
            "/api/p/{project}/apikeys/deactivate",
            "Deactivate an API user",
            "The key and its tokens stop at once.",
        )
        .with_result(&[API_USER], &data)
        .with_reasons(&known),
        call(
            "/api/p/{project}/apikeys/activate",
            "Activate an API user",
            "The key is good again, earlier tokens are not.",
        )
        .with_result(&[API_USER], &data)
        .with_reasons(&known),
        call(
            "/api/p/{project}/apikeys/rotate",
            "Replace a key",
            "The old one and its tokens stop at once.",
        )
        .with_result(&[API_USER, key], &data)
        .with_reasons(&known),
        call(
            "/api/p/{project}/apikeys/delete",
            "Delete an API user",
            "With its key.",
        )
        .with_reasons(&known),
    ]
}
