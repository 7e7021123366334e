//! `/api/account/...`, without the calls about invitations.

use crate::openapi::{
    call::{Call, Renewal},
    entries::Entries,
    error_response::ErrorResponse,
    examples,
    field::{Field, Shape, optional, required},
};

use super::fields::{
    BAD_NAME, BAD_PASSWORD, BAD_USERNAME, EMAIL, USER, USERNAME_TAKEN, VALIDATION_CODE,
    VERIFICATION_CODE, WRONG_CODE,
};

const UPDATE: [Field; 6] = [
    optional(
        "username",
        Shape::Text("ann"),
        "The new username. It can contain `@` only if it is the account's own email address.",
    ),
    optional(
        "password",
        Shape::Password(examples::PASSWORD),
        "The new password. It revokes every earlier token of the user.",
    ),
    optional(
        "name",
        Shape::Text("Ann Smit"),
        "The new name: at most 200 characters, without control characters; trimmed.",
    ),
    optional(
        "language",
        Shape::Text("nl"),
        "The language of the user: a code of `languages/get`.",
    ),
    optional(
        "timezone",
        Shape::Text("Europe/Amsterdam"),
        "The time zone of the user: a name of the IANA database.",
    ),
    optional(
        "current_password",
        Shape::Password(examples::PASSWORD),
        "The current password. If it is sent, it must match; the server can require it for a new \
         password.",
    ),
];

const FILE: Field = required(
    "upload_file",
    Shape::File,
    "A PNG, JPEG, GIF or WebP with at most 10,000,000 bytes and 50,000,000 pixels.",
);
const CONFIRM: Field = required(
    "confirm",
    Shape::Confirmation,
    "Must be `true`, so that the account is not deleted by mistake.",
);
const EVERYWHERE: Field = optional(
    "everywhere",
    Shape::Switch(true),
    "Whether to end all logins of the user; `false` when absent.",
);

pub(super) fn calls() -> Vec<Call> {
    vec![
        Call::post(
            "/api/account/update",
            "Change the account",
            "Changes the given values of the caller: all of them, or none if one is not \
             acceptable. At least one value in addition to `current_password` is required.",
        )
        .changes_data()
        .with_parameters(&UPDATE)
        .with_result(&[USER], &[Entries::Caller])
        .renewal(Renewal::Always)
        .with_errors(&[ErrorResponse::Forbidden, ErrorResponse::Throttled])
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
            "Mails a verification code to the new address. Changes nothing yet.",
        )
        .changes_data()
        .with_parameters(&[EMAIL])
        .with_result(&[VALIDATION_CODE], &[])
        .with_errors(&[ErrorResponse::Forbidden, ErrorResponse::Throttled])
        .with_validation(&[("email", "invalid")]),
        Call::post(
            "/api/account/update_email",
            "Change the email",
            "Changes the email address of the caller. The old address gets a mail about the \
             change.",
        )
        .changes_data()
        .with_parameters(&[EMAIL, VALIDATION_CODE, VERIFICATION_CODE])
        .with_result(&[USER], &[Entries::Caller])
        .with_errors(&[ErrorResponse::Forbidden, ErrorResponse::Throttled])
        .with_validation(&[WRONG_CODE, ("email", "invalid")]),
        Call::post(
            "/api/account/upload_avatar",
            "Set the picture",
            "Replaces the picture of the caller. It is scaled down to at most 1024 × 1024 pixels \
             and 512 KiB, and its metadata is removed.",
        )
        .changes_data()
        .with_form(&[FILE])
        .with_result(&[USER], &[Entries::Caller])
        .with_errors(&[ErrorResponse::Forbidden])
        .with_reasons(&["not_an_image", "image_too_large", "media_not_found"]),
        Call::post(
            "/api/account/delete_avatar",
            "Remove the picture",
            "Removes the picture of the caller. Without a picture, the call changes nothing.",
        )
        .changes_data()
        .with_result(&[USER], &[Entries::Caller])
        .with_errors(&[ErrorResponse::Forbidden]),
        Call::post(
            "/api/account/delete",
            "Delete the account",
            "Deletes the account of the caller with its memberships, and revokes all tokens. The \
             call fails while the user owns a project that is not permanently deleted.",
        )
        .changes_data()
        .with_parameters(&[CONFIRM])
        .renewal(Renewal::Never)
        .with_errors(&[ErrorResponse::Forbidden])
        .with_reasons(&["owns_projects"]),
        Call::post(
            "/api/account/logout",
            "Log out",
            "Ends the login of the token, or all logins of the caller. Their tokens are rejected \
             at once.",
        )
        .with_token()
        .with_parameters(&[EVERYWHERE])
        .renewal(Renewal::Never),
    ]
}
