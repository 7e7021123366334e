//! `/api/projects/...`: projects and their icons.

use crate::openapi::{
    call::{Call, Renewal},
    entries::Entries,
    error_response::ErrorResponse,
    examples,
    field::{Field, Shape, optional, required},
};

use super::fields::{BAD_NAME, NAME, OTHER_USER, PROJECT};

const NEW_NAME: Field = Field {
    is_required: false,
    ..NAME
};
const TIMEZONE: Field = optional(
    "timezone",
    Shape::Text("Europe/Amsterdam"),
    "The time zone of the project: a name of the IANA database.",
);
const BAD_TIMEZONE: (&str, &str) = ("timezone", "invalid");

pub(super) fn calls() -> Vec<Call> {
    let members = required(
        "project_members",
        Shape::Gids(examples::USER),
        "The gid of the caller, the only member.",
    );
    let mut calls = vec![
        Call::post(
            "/api/projects/get",
            "Get a project",
            "Returns a project: in full for its active members, short for a user who is only \
             invited.",
        )
        .with_token()
        .with_parameters(&[PROJECT])
        .with_result(&[PROJECT], &[Entries::Projects])
        .with_reasons(&["project_not_found"]),
        Call::post(
            "/api/projects/create",
            "Create a project",
            "Creates a project, which the caller owns. Without `name` it is called `untitled \
             project`, and without `timezone` its time zone is `Europe/Amsterdam`.",
        )
        .changes_data()
        .with_parameters(&[NEW_NAME, TIMEZONE])
        .with_result(
            &[PROJECT, members],
            &[Entries::FullProject, Entries::Memberships],
        )
        .renewal(Renewal::Always)
        .with_errors(&[ErrorResponse::Forbidden])
        .with_reasons(&["limit_reached"])
        .with_validation(&BAD_NAME)
        .with_validation(&[BAD_TIMEZONE]),
        Call::post(
            "/api/projects/update",
            "Change a project",
            "Changes the name or the time zone of a project. For its active members.",
        )
        .changes_data()
        .with_parameters(&[PROJECT, NEW_NAME, TIMEZONE])
        .with_result(&[PROJECT], &[Entries::FullProject])
        .with_errors(&[ErrorResponse::Forbidden])
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
        "A PNG, JPEG, GIF or WebP with at most 10,000,000 bytes and 50,000,000 pixels.",
    );
    [
        Call::post(
            "/api/projects/upload_icon",
            "Set the icon",
            "Replaces the icon of a project. It is scaled down to at most 1024 × 1024 pixels and \
             512 KiB, and its metadata is removed. Only for the owner.",
        )
        .changes_data()
        .with_form(&[PROJECT, file])
        .with_result(&[PROJECT], &[Entries::FullProject])
        .with_errors(&[ErrorResponse::Forbidden])
        .with_reasons(&["not_an_image", "image_too_large", "media_not_found"]),
        Call::post(
            "/api/projects/delete_icon",
            "Remove the icon",
            "Removes the icon of a project. Without an icon, the call changes nothing. Only for \
             the owner.",
        )
        .changes_data()
        .with_parameters(&[PROJECT])
        .with_result(&[PROJECT], &[Entries::FullProject])
        .with_errors(&[ErrorResponse::Forbidden]),
    ]
}

fn lifecycle_calls() -> Vec<Call> {
    let owner_call = |path, summary, description| {
        Call::post(path, summary, description)
            .changes_data()
            .with_parameters(&[PROJECT])
            .with_errors(&[ErrorResponse::Forbidden])
    };
    vec![
        owner_call(
            "/api/projects/delete",
            "Delete a project",
            "Deletes a project. `projects/undelete` restores it. Only for the owner.",
        )
        .with_result(&[PROJECT], &[Entries::FullProject])
        .with_reasons(&["already_deleted"]),
        owner_call(
            "/api/projects/undelete",
            "Undo the deletion of a project",
            "Restores a deleted project. Only for the owner.",
        )
        .with_result(&[PROJECT], &[Entries::FullProject])
        .with_reasons(&["not_deleted"]),
        owner_call(
            "/api/projects/permanent_delete",
            "Delete a project permanently",
            "Permanently deletes a project that is deleted already, with its memberships, API \
             users and keys. Only for the owner.",
        )
        .renewal(Renewal::Always)
        .with_reasons(&["not_deleted"]),
        owner_call(
            "/api/projects/transfer",
            "Transfer a project to another member",
            "Makes an active member the owner of the project. The old owner stays as a member. \
             Only for the owner.",
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
