//! `/api/p/{project}/apikeys/...`: the API users of a project.

use crate::openapi::{
    call::Call,
    entries::Entries,
    error_response::ErrorResponse,
    examples,
    field::{Field, Shape, required},
};

use super::fields::{API_USER, BAD_NAME, NAME};

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
            .with_errors(&[ErrorResponse::Forbidden])
    };
    let reasons = ["not_an_api_user"];
    let key = required("apikey", Shape::Text(examples::API_KEY), "The API key.");
    vec![
        call(
            "/api/p/{project}/apikeys/create",
            "Create an API user",
            "Creates an API user with a key. `apikeys/get` returns the key.",
        )
        .with_parameters(&[KEY_NAME])
        .with_result(&[API_USER], &data)
        .with_reasons(&["limit_reached"])
        .with_validation(&BAD_NAME),
        call(
            "/api/p/{project}/apikeys/get",
            "Get a key",
            "Returns the key of an API user. The audit trail records that the caller read it.",
        )
        .with_result(&[key], &[])
        .with_reasons(&reasons),
        call(
            "/api/p/{project}/apikeys/update",
            "Rename an API user",
            "Changes the name of an API user. Its key stays the same.",
        )
        .with_parameters(&[API_USER, KEY_NAME])
        .with_result(&[API_USER], &data)
        .with_reasons(&reasons)
        .with_validation(&BAD_NAME),
        call(
            "/api/p/{project}/apikeys/deactivate",
            "Deactivate an API user",
            "Deactivates an API user. The key and its tokens are rejected at once.",
        )
        .with_result(&[API_USER], &data)
        .with_reasons(&reasons),
        call(
            "/api/p/{project}/apikeys/activate",
            "Activate an API user",
            "Activates a deactivated API user. The key is valid again; earlier tokens stay \
             invalid.",
        )
        .with_result(&[API_USER], &data)
        .with_reasons(&reasons),
        call(
            "/api/p/{project}/apikeys/rotate",
            "Replace a key",
            "Replaces the key of an API user. The old key and its tokens are rejected at once.",
        )
        .with_result(&[API_USER, key], &data)
        .with_reasons(&reasons),
        call(
            "/api/p/{project}/apikeys/delete",
            "Delete an API user",
            "Deletes an API user and its key.",
        )
        .with_reasons(&reasons),
    ]
}
