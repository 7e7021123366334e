//! `/api/account/...`, but for invitations.

use crate::openapi::{
    call::{Call, Renewal},
    entries::Entries,
    error_response::Refusal,
    examples,
    field::{Field, Shape, optional, required},
};

use super::{
    BAD_NAME, BAD_PASSWORD, BAD_USERNAME, EMAIL, USER, USERNAME_TAKEN, VALIDATION_CODE,
    VERIFICATION_CODE, WRONG_CODE,
};

const UPDATE: [Field; 6] = [
    optional(
        "username",
        Shape::Text("ann"),
        "With `@` only when it is the account's own email.",
    ),
    optional(
        "password",
        Shape::Password(examples::PASSWORD),
        "Ends every earlier token of the user.",
    ),
    optional(
        "name",
        Shape::Text("Ann Smit"),
        "At most 200 characters, none of them a control character; trimmed.",
    ),
    optional("language", Shape::Text("nl"), "A code of the global list."),
    optional("timezone", Shape::Text("Europe/Amsterdam"), "An IANA name."),
    optional(
        "current_password",
        Shape::Password(examples::PASSWORD),
        "When sent with a new one, it must match.",
    ),
];

pub(super) fn calls() -> Vec<Call> {
    let file = required(
        "upload_file",
        Shape::File,
        "PNG, JPEG, GIF or WebP: 10,000,000 bytes, 50,000,000 pixels.",
    );
    let confirm = required("confirm", Shape::Confirmation, "That it is meant.");
    let everywhere = optional(
        "everywhere",
        Shape::Switch(true),
        "All logins of the user; false when absent.",
    );
    vec![
        Call::post(
            "/api/account/update",
            "Change the account",
            "At least one of these, besides `current_password`: all that is given is changed, or nothing.",
        )
        .changes_data()
        .with_parameters(&UPDATE)
        .with_result(&[USER], &[Entries::Caller])
        .renewal(Renewal::Always)
        .with_errors(&[Refusal::Forbidden, Refusal::Throttled])
        .with_validation(&[USERNAME_TAKEN])
        .with_validation(&BAD_USERNAME)
        .with_validation(&BAD_PASSWORD)
        .with_validation(&BAD_NAME)
        .with_validation(&[
            ("language", "invalid"),
            ("timezone", "invalid"),
            ("current_password", "incorrect"),
        ]),
        Call::post(
            "/api/account/update_email_request",
            "Begin to change the email",
            "Mails a code to the new address.",
        )
        .changes_data()
        .with_parameters(&[EMAIL])
        .with_result(&[VALIDATION_CODE], &[])
        .with_errors(&[Refusal::Forbidden, Refusal::Throttled])
        .with_validation(&[("email", "invalid")]),
        Call::post("/api/account/update_email", "Change the email", "The old address is told.")
            .changes_data()
            .with_parameters(&[EMAIL, VALIDATION_CODE, VERIFICATION_CODE])
            .with_result(&[USER], &[Entries::Caller])
            .with_errors(&[Refusal::Forbidden, Refusal::Throttled])
            .with_validation(&[WRONG_CODE, ("email", "invalid")]),
        Call::post(
            "/api/account/upload_avatar",
            "Set the picture",
            "It is scaled to 1024 × 1024 pixels and 512 KiB at most, without metadata.",
        )
        .changes_data()
        .with_form(&[file])
        .with_result(&[USER], &[Entries::Caller])
        .with_errors(&[Refusal::Forbidden])
        .with_reasons(&["not_an_image", "image_too_large", "media_not_found"]),
        Call::post("/api/account/delete_avatar", "Remove the picture", "Also when there is none.")
            .changes_data()
            .with_result(&[USER], &[Entries::Caller])
            .with_errors(&[Refusal::Forbidden]),
        Call::post(
            "/api/account/delete",
            "Delete the account",
            "Memberships go, and all tokens end. Not while the user owns a project that is not permanently deleted.",
        )
        .changes_data()
        .with_parameters(&[confirm])
        .renewal(Renewal::Never)
        .with_errors(&[Refusal::Forbidden])
        .with_reasons(&["owns_projects"]),
        Call::post("/api/account/logout", "Log out", "This login ends at once, or all of the caller's.")
            .with_token()
            .with_parameters(&[everywhere])
            .renewal(Renewal::Never),
    ]
}
