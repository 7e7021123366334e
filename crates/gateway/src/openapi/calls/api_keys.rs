//! `/api/p/{project}/apikeys/...`.

use crate::openapi::{
    call::Call,
    entries::Entries,
    examples,
    field::{Field, Shape, required},
    refusal::Refusal,
};

use super::{API_USER, BAD_NAME, NAME};

const KEY_NAME: Field = Field { shape: Shape::Text("Nightly export"), ..NAME };

pub(super) fn calls() -> Vec<Call> {
    let data = [Entries::ShortUsers, Entries::Memberships];
    let call = |path, summary, description| {
        Call::post(path, summary, description).with_token().takes(&[API_USER]).refuses(&[Refusal::Forbidden])
    };
    let known = ["not_an_api_user"];
    let key = required("apikey", Shape::Text(examples::API_KEY), "The key.");
    vec![
        call("/api/p/{project}/apikeys/create", "Create an API user", "Its key is asked for with `apikeys/get`.")
            .takes(&[KEY_NAME])
            .answers(&[API_USER], &data)
            .reasons(&["limit_reached"])
            .validates(&BAD_NAME),
        call("/api/p/{project}/apikeys/get", "Get a key", "It is written to the audit trail.")
            .answers(&[key], &[])
            .reasons(&known),
        call("/api/p/{project}/apikeys/update", "Rename an API user", "Its key stays.")
            .takes(&[API_USER, KEY_NAME])
            .answers(&[API_USER], &data)
            .reasons(&known)
            .validates(&BAD_NAME),
        call("/api/p/{project}/apikeys/deactivate", "Deactivate an API user", "The key and its tokens stop at once.")
            .answers(&[API_USER], &data)
            .reasons(&known),
        call(
            "/api/p/{project}/apikeys/activate",
            "Activate an API user",
            "The key is good again, earlier tokens are not.",
        )
        .answers(&[API_USER], &data)
        .reasons(&known),
        call("/api/p/{project}/apikeys/rotate", "Replace a key", "The old one and its tokens stop at once.")
            .answers(&[API_USER, key], &data)
            .reasons(&known),
        call("/api/p/{project}/apikeys/delete", "Delete an API user", "With its key.").reasons(&known),
    ]
}
