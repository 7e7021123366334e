//! `/api/projects/...`.

use crate::openapi::{
    call::{Call, Renewal},
    entries::Entries,
    error_response::Refusal,
    examples,
    field::{Field, Shape, optional, required},
};

use super::{BAD_NAME, NAME, OTHER_USER, PROJECT};

const NEW_NAME: Field = Field {
    is_required: false,
    ..NAME
};
const TIMEZONE: Field = optional("timezone", Shape::Text("Europe/Amsterdam"), "An IANA name.");
const BAD_TIMEZONE: (&str, &str) = ("timezone", "invalid");

pub(super) fn calls() -> Vec<Call> {
    let members = required(
        "project_members",
        Shape::Gids(examples::USER),
        "The caller.",
    );
    let mut calls = vec![
        Call::post("/api/projects/get", "Get a project", "Short for who is invited to it.")
            .with_token()
            .with_parameters(&[PROJECT])
            .with_result(&[PROJECT], &[Entries::Projects])
            .with_reasons(&["project_not_found"]),
        Call::post(
            "/api/projects/create",
            "Create a project",
            "The caller owns it. It is called `untitled project`, and its time zone is `Europe/Amsterdam`, unless said \
            otherwise.",
        )
        .changes_data()
        .with_parameters(&[NEW_NAME, TIMEZONE])
        .with_result(&[PROJECT, members], &[Entries::FullProject, Entries::Memberships])
        .renewal(Renewal::Always)
        .with_errors(&[Refusal::Forbidden])
        .with_reasons(&["limit_reached"])
        .with_validation(&BAD_NAME)
        .with_validation(&[BAD_TIMEZONE]),
        Call::post("/api/projects/update", "Change a project", "Any active member may.")
            .changes_data()
            .with_parameters(&[PROJECT, NEW_NAME, TIMEZONE])
            .with_result(&[PROJECT], &[Entries::FullProject])
            .with_errors(&[Refusal::Forbidden])
            .with_validation(&BAD_NAME)
            .with_validation(&[BAD_TIMEZONE]),
    ];
    calls.extend(icons());
    calls.extend(lifecycle_calls());
    calls
}

fn icons() -> [Call; 2] {
    let file = required(
        "upload_file",
        Shape::File,
        "PNG, JPEG, GIF or WebP: 10,000,000 bytes, 50,000,000 pixels.",
    );
    [
        Call::post(
            "/api/projects/upload_icon",
            "Set the icon",
            "The owner may. It is scaled to 1024 × 1024 pixels and 512 KiB at most, without metadata.",
        )
        .changes_data()
        .with_form(&[PROJECT, file])
        .with_result(&[PROJECT], &[Entries::FullProject])
        .with_errors(&[Refusal::Forbidden])
        .with_reasons(&["not_an_image", "image_too_large", "media_not_found"]),
        Call::post("/api/projects/delete_icon", "Remove the icon", "The owner may; also when there is none.")
            .changes_data()
            .with_parameters(&[PROJECT])
            .with_result(&[PROJECT], &[Entries::FullProject])
            .with_errors(&[Refusal::Forbidden]),
    ]
}

fn lifecycle_calls() -> Vec<Call> {
    let of_owner = |path, summary, description| {
        Call::post(path, summary, description)
            .changes_data()
            .with_parameters(&[PROJECT])
            .with_errors(&[Refusal::Forbidden])
    };
    vec![
        of_owner(
            "/api/projects/delete",
            "Delete a project",
            "The owner may, and can undo it.",
        )
        .with_result(&[PROJECT], &[Entries::FullProject])
        .with_reasons(&["already_deleted"]),
        of_owner(
            "/api/projects/undelete",
            "Undo the deletion of a project",
            "The owner may.",
        )
        .with_result(&[PROJECT], &[Entries::FullProject])
        .with_reasons(&["not_deleted"]),
        of_owner(
            "/api/projects/permanent_delete",
            "Delete a project for good",
            "The owner may, once it is deleted. Memberships, API users and keys go too.",
        )
        .renewal(Renewal::Always)
        .with_reasons(&["not_deleted"]),
        of_owner(
            "/api/projects/transfer",
            "Give a project to another member",
            "The old owner stays as a member.",
        )
        .with_parameters(&[PROJECT, OTHER_USER])
        .with_result(&[PROJECT], &[Entries::FullProject, Entries::Memberships])
        .renewal(Renewal::Always)
        .with_reasons(&[
            "not_a_member",
            "owner",
            "api_user",
            "already_deleted",
            "limit_reached",
        ]),
    ]
}
